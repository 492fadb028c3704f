import { setImmediate } from 'node:timers/promises';
import { moveOutliers } from '../../../data/fences.ts';
import type { Source } from '../../../data/source.ts';
import { networkRows, type Transform, unitRows } from '../../../data/transform.ts';

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
/** Ranges of consecutive rows to read, spread over the data: if it is sorted by class, all classes appear. */
const MAX_RANGES = 200;

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
  const ranges = Math.min(MAX_RANGES, rows);
  for (let i = 0; i < ranges; i++) {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * rows) / ranges));
    // Evenly spaced; the last range ends at the last row.
    const start = Math.floor((from * (source.rows - (to - from))) / Math.max(1, rows - (to - from)));
    const raw = await source.read(Math.min(start, source.rows - (to - from)), to - from);
    // So that they do not decide the scale of the picture.
    if (transform.fences) moveOutliers(raw, transform.input, transform.fences);
    unitRows(transform, raw);
    values.set(networkRows(transform, raw), from * dim);
    await setImmediate();
  }
  return { rows, dim, values };
}
