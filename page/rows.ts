import { setImmediate } from 'node:timers/promises';
import { fillCells } from '../data/fill.ts';
import { imageShape, imageUri } from '../data/images/folder.ts';
import { moveOutliers } from '../data/outlier-bounds.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import type { Source } from '../data/source.ts';
import { networkRows, type Transform, unitRows } from '../data/transform.ts';
import type { RowContent, RowContents } from './drawing/cluster-details.ts';
import { sampledRanges } from './drawing/model-view.ts';

/** Rows of the data for the page: a sample as points, and single ones as people may look at them. */

/** Rows for display in the coordinates of the nets, row-major. */
export interface RowSample {
  rows: number;
  dim: number;
  values: Float32Array;
}

const MAX_ROWS = 20_000;
/** Most numbers to send. */
const MAX_VALUES = 1_000_000;
/** Most numbers to read. */
const MAX_READ = 8_000_000;

/**
 * Reads rows spread over the data and transforms them. Yields to the event loop between ranges. For display only: workers may
 * round differently.
 */
export async function readSample(source: Source, transform: Transform, most = MAX_ROWS): Promise<RowSample> {
  const { dim } = transform;
  const rows = Math.max(
    1,
    Math.min(source.rows, most, Math.floor(MAX_VALUES / dim), Math.floor(MAX_READ / source.dim)),
  );
  const values = new Float32Array(rows * dim);
  let at = 0;
  for await (const raw of readSpans(source, sampledRanges(rows, source.rows))) {
    // So that they do not decide the scale of the picture.
    if (transform.fences) moveOutliers(raw, transform.input, transform.fences);
    if (transform.fill) fillCells(transform.fill, raw, transform.input);
    unitRows(transform, raw);
    values.set(networkRows(transform, raw), at * dim);
    at += raw.length / source.dim;
    await setImmediate();
  }
  return { rows, dim, values };
}

/** Most columns of a row that are shown. */
const MAX_COLUMNS = 40;

/** Rows of the data as people may look at them: the picture of an image, else the values of the first columns. */
export async function readRows(source: Source, rows: readonly number[]): Promise<RowContents> {
  const shape = imageShape(source.shape);
  const found: RowContent[] = [];
  for (const row of rows) {
    const values = await source.read(row, 1);
    const id = source.images?.[row];
    found.push({
      row,
      ...(id !== undefined && { id }),
      ...(shape
        ? { image: imageUri(values, shape, rangeOf(source.dtype, values)) }
        : { values: Array.from(values.subarray(0, MAX_COLUMNS)) }),
    });
  }
  return { names: source.names?.slice(0, MAX_COLUMNS) ?? null, rows: found };
}

/** That of bytes, or of the numbers in the row. */
function rangeOf(dtype: string, values: Float32Array): [number, number] {
  if (dtype === 'uint8') return [0, 255];
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}
