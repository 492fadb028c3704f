import { type Layout, shardBlocks } from '../../model/layout.ts';
import { type Autoencoder, codeWidth } from '../../model/nets/autoencoder.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { take } from '../../proto/tensors.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import { type Output, unitsOf } from '../training/full-pass.ts';
import { publishEncoder } from './train-encoder.ts';

/** Rows per unit: enough to be worth a message, few enough to balance the load. */
const UNIT_ROWS = 1 << 14;
/** The codes of all rows, in a run directory: [rows,latent] float32. */
export const CODES = 'codes.npy';

/** Computes the codes of all rows and writes them as they arrive. */
export async function encodeAll(
  dispatcher: Dispatcher,
  layout: Layout,
  encoder: Autoencoder,
  out: Output,
): Promise<void> {
  const latent = codeWidth(encoder.widths);
  const shards = shardBlocks(layout);
  const units = unitsOf(layout, shards, UNIT_ROWS);
  const blocksOf = ({ shard, from, to }: WorkUnit) => shards[shard].slice(from, to);
  const file = out.pieces(CODES, '<f4', [layout.rows, latent]);
  publishEncoder(dispatcher, encoder);
  try {
    await dispatcher.round({
      tasks: [{ task: 'encode' }],
      units,
      streams: true,
      each(unit, [part]) {
        const codes = take(part, 'codes', 'float32');
        let at = 0;
        try {
          for (const { start, count } of blocksOf(unit)) {
            file.write(codes.subarray(at, at + count * latent), start * latent);
            at += count * latent;
          }
        } catch (error) {
          // A write error, such as a full disk, ends the round, not the process.
          dispatcher.abort(error as Error);
        }
      },
    });
    await file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
