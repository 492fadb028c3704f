import { setImmediate } from 'node:timers/promises';
import type { Source } from '../../../data/source.ts';
import { networkRows, normalizeRows, type Transform } from '../../../data/transform.ts';

/** Rows of the networks' coordinates, row-major. */
export interface Sample {
  rows: number;
  dim: number;
  values: Float32Array;
}

const MOST_ROWS = 20_000;
/** Of what is sent, and of what is read. */
const MOST_VALUES = 1_000_000;
const MOST_READ = 8_000_000;
/** Stretches that the rows are taken from: data sorted by class show every class. */
const STRETCHES = 200;

/**
 * Rows from all over the data, through the transform. Reading and computing leave room for others in between. For
 * people's eyes: the workers' own arithmetic may round otherwise.
 */
export async function readSample(source: Source, transform: Transform): Promise<Sample> {
  const { dim } = transform;
  const rows = Math.max(
    1,
    Math.min(source.rows, MOST_ROWS, Math.floor(MOST_VALUES / dim), Math.floor(MOST_READ / source.dim)),
  );
  const values = new Float32Array(rows * dim);
  const stretches = Math.min(STRETCHES, rows);
  for (let i = 0; i < stretches; i++) {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * rows) / stretches));
    // Evenly over the data, the last one at their end.
    const start = Math.floor((from * (source.rows - (to - from))) / Math.max(1, rows - (to - from)));
    const raw = await source.read(Math.min(start, source.rows - (to - from)), to - from);
    if (transform.normalize) normalizeRows(raw, transform.input);
    values.set(networkRows(transform, raw), from * dim);
    await setImmediate();
  }
  return { rows, dim, values };
}
