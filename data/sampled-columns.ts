import { yieldToEventLoop } from '../base/slices.ts';
import { generator } from '../model/random.ts';
import { readSpans } from './remote/read-ahead.ts';
import type { Source } from './source.ts';

/** Rows that are looked at to tell of what kind columns are. */
const SAMPLED_ROWS = 1000;

/** By column the values of rows drawn from all, the same ones whenever these are read. */
export async function sampledColumns(source: Source): Promise<Float64Array[]> {
  const { rows, dim } = source;
  const n = Math.min(rows, SAMPLED_ROWS);
  const rng = generator('0', 'skewed-columns');
  // One of each n-th of the rows.
  const spans = Array.from({ length: n }, (_, i) => {
    const [from, to] = [Math.floor((i * rows) / n), Math.floor(((i + 1) * rows) / n)];
    return { start: from + rng.below(to - from), count: 1 };
  });
  const columns = Array.from({ length: dim }, () => new Float64Array(n));
  let row = 0;
  for await (const values of readSpans(source, spans)) {
    for (let d = 0; d < dim; d++) columns[d][row] = values[d];
    row++;
    await yieldToEventLoop();
  }
  return columns;
}
