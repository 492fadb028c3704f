import { generator } from '../model/random.ts';
import { rowsAt } from './rows-at.ts';
import type { Source } from './source.ts';

/** Rows that are looked at to tell of what kind columns are. */
const SAMPLED_ROWS = 1000;

/** By column the values of rows drawn from all, the same ones whenever these are read. */
export async function sampledColumns(source: Source): Promise<Float64Array[]> {
  const { rows, dim } = source;
  const n = Math.min(rows, SAMPLED_ROWS);
  const rng = generator('0', 'skewed-columns');
  // One of each n-th of the rows.
  const sampled = Array.from({ length: n }, (_, i) => {
    const [from, to] = [Math.floor((i * rows) / n), Math.floor(((i + 1) * rows) / n)];
    return from + rng.below(to - from);
  });
  const values = await rowsAt(source, sampled);
  return Array.from({ length: dim }, (_, d) => Float64Array.from(sampled, (_, row) => values[row * dim + d]));
}
