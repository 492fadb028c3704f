import { join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { blockHash, fingerprint, isHashOf } from '../../data/blocks.ts';
import type { OpenOptions, OpenSource } from '../../data/open-options.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import { CODES } from '../../data/row-parts.ts';
import type { Source } from '../../data/source.ts';
import type { Layout } from '../../model/layout.ts';
import { block, blockCount, shardsFor } from '../../model/layout.ts';
import { generator, shuffledPrefix } from '../../model/random.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import { tableOptions } from '../../run/config.ts';
import { readImageList } from '../../run/row-files.ts';
import type { RunFile } from '../../run/run-file.ts';
import { runFiles } from '../../run/run-files.ts';

/** The rows of a run that is over: whether they are still there, and the same. */

/** How its rows are read from its data. UserError if its list of images is damaged. */
export const howRead = (path: string, { data, config, files }: RunFile): OpenOptions => ({
  table: tableOptions(config, data.leftOut ?? null),
  logged: data.logged,
  images: {
    size: config.imageSize,
    skipBad: config.skipBad,
    expected: { rows: data.rows, names: readImageList(runFiles(path, files)) },
  },
});

/** The run's data, or their latent vectors; null if they cannot be read or have changed, once `problem` was told why. */
export async function openUnchanged(
  folder: string,
  { run, checkpoint }: { run: RunFile; checkpoint: ClusterCheckpoint | null },
  open: OpenSource,
  problem: (why: string) => void = () => {},
): Promise<Source | null> {
  const { codes } = run.data;
  const path = codes ? join(folder, CODES) : run.config.data;
  const columns = codes?.dim ?? run.data.dim;
  let source: Source | null = null;
  try {
    source = await open(path, codes ? {} : howRead(folder, run));
    const { rows, dim } = source;
    if (rows !== run.data.rows || dim !== columns)
      throw new UserError(`${path} now has ${rows} rows × ${dim}; the run had ${run.data.rows} × ${columns}`);
    if (!(await isSameRows(source, run, checkpoint)))
      throw new UserError(`${path} has changed since the run`);
    return source;
  } catch (error) {
    source?.close();
    if (!(error instanceof UserError)) throw error;
    problem(error.message);
    return null;
  }
}

/** A file of at most this many bytes is compared as a whole. */
const SMALL_BYTES = 64 << 20;
/** Most blocks of a larger file that are compared. */
const MOST_SAMPLED = 64;

/**
 * Are these the rows of the run? All of a small file are compared; of a large one, which takes longer to read than to draw,
 * some blocks, if there is a checkpoint with their hashes.
 */
async function isSameRows(
  source: Source,
  { data, config }: RunFile,
  checkpoint: ClusterCheckpoint | null,
): Promise<boolean> {
  const { rows, blockRows } = data;
  const { dim, fingerprint: expected } = data.codes ?? data;
  const layout = { rows, dim, blockRows, shards: shardsFor(config.shards, rows), seed: config.seed };
  const isSmall = 4 * rows * dim <= SMALL_BYTES;
  const all = () => Array.from({ length: blockCount(layout) }, (_, index) => index);
  // Checkpoints of an update have those of its sample.
  const compared = isSmall ? all() : checkpoint && !data.sample ? sampledBlocks(layout) : [];
  const blocks = compared.map((index) => block(layout, index));
  const hashes: Uint8Array[] = [];
  for await (const read of readSpans(source, blocks)) hashes.push(blockHash(read));
  if (isSmall) return fingerprint(Buffer.concat(hashes)) === expected;
  return hashes.every((hash, i) => isHashOf(blocks[i], hash, checkpoint!.dataSummary.hashes));
}

function sampledBlocks(layout: Layout): number[] {
  const count = blockCount(layout);
  const most = Math.min(MOST_SAMPLED, Math.ceil(Math.sqrt(count)));
  return [...shuffledPrefix(generator(layout.seed, 'data-check'), count, most)].sort((a, b) => a - b);
}
