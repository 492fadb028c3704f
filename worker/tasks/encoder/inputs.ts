import type { ColumnMap } from '../../../data/transform.ts';
import type { Block } from '../../../model/layout.ts';
import { take } from '../../../proto/tensors.ts';
import { grouped } from '../../blocks.ts';
import type { Context } from '../../context.ts';
import type { States } from '../../states.ts';

/** The state `encoder-input`: what is done to rows before the encoder. */
export function inputMap(states: States): ColumnMap {
  const map = states.get('encoder-input');
  return { factor: take(map, 'factor', 'float32'), shift: take(map, 'shift', 'float32') };
}

/** Numbers that are read at a time. */
const PIECE = 1 << 22;

/** The rows of these blocks, in pieces of 16 MiB or a block; each is read while the caller uses the one before. */
export async function* piecesOf(context: Context, blocks: Block[]): AsyncGenerator<Float32Array> {
  const pieces = [...grouped(blocks, ({ count }) => count * context.dim, PIECE)];
  let next = pieces.length ? rowsOf(context, pieces[0]) : null;
  for (let i = 1; next; i++) {
    const rows = await next;
    next = i < pieces.length ? rowsOf(context, pieces[i]) : null;
    // Awaited only after these rows; until then a rejection would be unhandled.
    next?.catch(() => {});
    yield rows;
  }
}

async function rowsOf({ dim, readUnchanged }: Context, blocks: Block[]): Promise<Float32Array> {
  const rows = new Float32Array(blocks.reduce((sum, { count }) => sum + count, 0) * dim);
  let at = 0;
  for await (const [, values] of readUnchanged(blocks)) {
    rows.set(values, at);
    at += values.length;
  }
  return rows;
}
