import { setImmediate } from 'node:timers/promises';
import { moveOutliers } from '../../../data/fences.ts';
import { readSpans } from '../../../data/remote/read-ahead.ts';
import type { Source } from '../../../data/source.ts';
import { networkRows, type Transform, unitRows } from '../../../data/transform.ts';
import { sampledRanges } from '../../../view/sample-rows.ts';

/** Rows for display in the coordinates of the nets, row-major. */
export interface DisplaySample {
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
export async function readSample(source: Source, transform: Transform): Promise<DisplaySample> {
  const { dim } = transform;
  const rows = Math.max(
    1,
    Math.min(source.rows, MAX_ROWS, Math.floor(MAX_VALUES / dim), Math.floor(MAX_READ / source.dim)),
  );
  const values = new Float32Array(rows * dim);
  let at = 0;
  for await (const raw of readSpans(source, sampledRanges(rows, source.rows))) {
    // So that they do not decide the scale of the picture.
    if (transform.fences) moveOutliers(raw, transform.input, transform.fences);
    unitRows(transform, raw);
    values.set(networkRows(transform, raw), at * dim);
    at += raw.length / source.dim;
    await setImmediate();
  }
  return { rows, dim, values };
}
