import { blockHash, isHashOf } from '../../data/blocks.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { block, blockCount, type Layout, shardsFor } from '../../model/layout.ts';
import { generator, shuffledPrefix } from '../../model/random.ts';
import { type ClusterCheckpoint, fingerprint } from '../storage/checkpoint.ts';
import type { RunFile } from '../storage/run-file.ts';

/** A file of at most this many bytes is compared as a whole. */
const SMALL_BYTES = 64 << 20;
/** Most blocks of a larger file that are compared. */
const MOST_SAMPLED = 64;

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

function sampledBlocks(layout: Layout): number[] {
  const count = blockCount(layout);
  const most = Math.min(MOST_SAMPLED, Math.ceil(Math.sqrt(count)));
  return [...shuffledPrefix(generator(BigInt(layout.seed), 'data-check'), count, most)].sort((a, b) => a - b);
}
