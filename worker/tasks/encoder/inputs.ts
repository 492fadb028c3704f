import type { ColumnMap } from '../../../data/transform.ts';
import type { Block } from '../../../model/layout.ts';
import { take } from '../../../proto/tensors.ts';
import type { Context } from '../../context.ts';
import type { States } from '../../states.ts';

/** The state `encoder-input`: what is done to rows before the encoder. */
export function inputMap(states: States): ColumnMap {
  const map = states.get('encoder-input');
  return { factor: take(map, 'factor', 'float32'), shift: take(map, 'shift', 'float32') };
}

/** Numbers that are read at a time. */
const PIECE = 1 << 22;

/**
 * The rows of these blocks, in pieces of 16 MiB or a block; each is read while the caller uses the one before. Says how long
 * `waiting` for them took, ms.
 */
export function piecesOf(context: Context, blocks: Block[]) {
  const { dim } = context;
  const pieces: Block[][] = [];
  let numbers = PIECE;
  for (const block of blocks) {
    if (numbers >= PIECE) {
      pieces.push([]);
      numbers = 0;
    }
    pieces.at(-1)!.push(block);
    numbers += block.count * dim;
  }
  let waiting = 0;
  async function read(piece: Block[]): Promise<Float32Array> {
    const rows = new Float32Array(piece.reduce((sum, { count }) => sum + count, 0) * dim);
    let at = 0;
    for await (const [, values] of context.readUnchanged(piece)) {
      rows.set(values, at);
      at += values.length;
    }
    return rows;
  }
  async function* all(): AsyncGenerator<Float32Array> {
    let next = pieces.length ? read(pieces[0]) : null;
    for (let i = 0; next; i++) {
      const start = performance.now();
      const rows = await next;
      waiting += performance.now() - start;
      next = i + 1 < pieces.length ? read(pieces[i + 1]) : null;
      // Awaited only after these rows; until then a rejection would be unhandled.
      next?.catch(() => {});
      yield rows;
    }
  }
  return { all, waiting: () => waiting };
}
