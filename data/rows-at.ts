import { yieldToEventLoop } from '../base/slices.ts';
import { readSpans } from './remote/read-ahead.ts';
import type { Source } from './source.ts';

/** The rows of these numbers, ascending, as they are in the file: [n,D]. */
export async function rowsAt(source: Source, rows: readonly number[]): Promise<Float32Array> {
  const { dim } = source;
  const values = new Float32Array(rows.length * dim);
  const spans = rows.map((start) => ({ start, count: 1 }));
  let at = 0;
  for await (const row of readSpans(source, spans)) {
    values.set(row, at);
    at += dim;
    await yieldToEventLoop();
  }
  return values;
}
