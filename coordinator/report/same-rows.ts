import { blockHash, isHashOf } from '../../data/blocks.ts';
import type { Source } from '../../data/source.ts';
import { block, blockCount } from '../../model/layout.ts';
import { SMALL_BYTES, sampledBlocks } from '../data-check.ts';
import { type Checkpoint, fingerprint } from '../storage/checkpoint.ts';
import type { RunFile } from '../storage/run-file.ts';

/**
 * Are these the rows of the run? All of a small file are compared; of a large one, which takes longer to read than to draw,
 * some blocks, if there is a checkpoint with their hashes.
 */
export async function isSameRows(
  { read }: Source,
  { data, config }: RunFile,
  checkpoint: Checkpoint | null,
): Promise<boolean> {
  const { rows, blockRows } = data;
  const { dim, fingerprint: expected } = data.codes ?? data;
  const layout = { rows, dim, blockRows, shards: config.shards, seed: config.seed };
  const hashOf = async (index: number) => {
    const { start, count } = block(layout, index);
    return blockHash(await read(start, count));
  };
  if (4 * rows * dim <= SMALL_BYTES) {
    const hashes: Uint8Array[] = [];
    for (let index = 0; index < blockCount(layout); index++) hashes.push(await hashOf(index));
    return fingerprint(Buffer.concat(hashes)) === expected;
  }
  for (const index of checkpoint ? sampledBlocks(layout) : [])
    if (!isHashOf({ index }, await hashOf(index), checkpoint!.dataSummary.hashes)) return false;
  return true;
}
