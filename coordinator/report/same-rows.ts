import { blockHash, isHashOf } from '../../data/blocks.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { block, blockCount, shardsFor } from '../../model/layout.ts';
import { SMALL_BYTES, sampledBlocks } from '../data-check.ts';
import { type ClusterCheckpoint, fingerprint } from '../storage/checkpoint.ts';
import type { RunFile } from '../storage/run-file.ts';

/**
 * Are these the rows of the run? All of a small file are compared; of a large one, which takes longer to read than to draw,
 * some blocks, if there is a checkpoint with their hashes.
 */
export async function isSameRows(
  source: Source,
  { data, config }: RunFile,
  checkpoint: ClusterCheckpoint | null,
): Promise<boolean> {
  const { rows, blockRows } = data;
  const { dim, fingerprint: expected } = data.codes ?? data;
  const layout = { rows, dim, blockRows, shards: shardsFor(config.shards, rows), seed: config.seed };
  const isSmall = 4 * rows * dim <= SMALL_BYTES;
  const all = () => Array.from({ length: blockCount(layout) }, (_, index) => index);
  const compared = isSmall ? all() : checkpoint ? sampledBlocks(layout) : [];
  const blocks = compared.map((index) => block(layout, index));
  const hashes: Uint8Array[] = [];
  for await (const own of readSpans(source, blocks)) hashes.push(blockHash(own));
  if (isSmall) return fingerprint(Buffer.concat(hashes)) === expected;
  return hashes.every((hash, i) => isHashOf(blocks[i], hash, checkpoint!.dataSummary.hashes));
}
