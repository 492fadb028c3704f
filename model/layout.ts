import { generator, isSeed, type Seed, shuffledPrefix } from './random.ts';

/**
 * How N rows are cut into blocks and blocks are assigned to shards (docs/algorithm.md, section 1). Fixed for a run: it does
 * not depend on the workers.
 */
export interface Layout {
  rows: number;
  dim: number;
  shards: number;
  blockRows: number;
  /** The run's 64-bit seed, in decimal. */
  seed: string;
}

/** Bytes of the hash of a block's rows. */
export const HASH_BYTES = 16;

/** Consecutive rows: `start … start+count−1`. */
export interface Block {
  index: number;
  start: number;
  count: number;
}

/**
 * The layout of N rows over S shards: clamp(2^⌊log2(N/(512·S))⌋, 16, 1024) rows per block, but at most ⌊N/S⌋, so that no
 * shard is empty.
 */
export function layoutOf(rows: number, dim: number, shards: number, seed: Seed): Layout {
  const preferred = 2 ** Math.floor(Math.log2(rows / (512 * shards)));
  const blockRows = Math.min(Math.max(16, Math.min(1024, preferred)), Math.floor(rows / shards));
  return { rows, dim, shards, blockRows, seed: String(seed) };
}

/** Rows of a shard, at least, before another one is worth it: nets learn little from the few batches of smaller ones. */
const ROWS_PER_SHARD = 500;
/** The shards of `auto`, at most. */
const MOST_BY_ITSELF = 8;

/** The most shards that there may be with this choice. */
export const mostShards = (choice: number | 'auto') => (choice === 'auto' ? MOST_BY_ITSELF : choice);

/** The number of shards: the chosen one, or with `auto` clamp(2^⌊log2(N/500)⌋, 1, 8), from the number of rows alone. */
export function shardsFor(choice: number | 'auto', rows: number): number {
  if (choice !== 'auto') return choice;
  return Math.min(MOST_BY_ITSELF, Math.max(1, 2 ** Math.floor(Math.log2(rows / ROWS_PER_SHARD))));
}

/** Limits on what a malformed or excessive layout may make a process allocate. */
const MAX_BLOCKS = 1 << 22;
const MAX_SHARDS = 1 << 16;
/** A block has to fit in one message. */
const MAX_BLOCK_BYTES = 1 << 30;

/** Why a layout is invalid or too large, as part of a message; null if it is neither. */
export function layoutProblem(layout: Layout): string | null {
  const { rows, dim, shards, blockRows, seed } = layout;
  const all = [rows, dim, shards, blockRows];
  if (!all.every((value) => Number.isSafeInteger(value) && value >= 1))
    return 'its numbers are not positive integers';
  if (!Number.isSafeInteger(rows * dim)) return `${rows} × ${dim} numbers are too many`;
  if (shards > MAX_SHARDS) return `more than ${MAX_SHARDS.toLocaleString('en')} shards`;
  if (shards > blockCount(layout)) return `${blockCount(layout)} blocks for ${shards} shards`;
  if (blockCount(layout) > MAX_BLOCKS) return `more than ${MAX_BLOCKS.toLocaleString('en')} blocks`;
  if (blockRows * dim * 4 > MAX_BLOCK_BYTES) return `a block of ${blockRows} rows does not fit in a message`;
  return isSeed(seed) ? null : 'its seed is not a 64-bit number';
}

/** The number of blocks. */
export const blockCount = (layout: Layout) => Math.ceil(layout.rows / layout.blockRows);

/** Block `index`; the last block may be shorter than the others. */
export function block(layout: Layout, index: number): Block {
  const start = index * layout.blockRows;
  return { index, start, count: Math.min(layout.blockRows, layout.rows - start) };
}

/** The blocks that were asked for last: with a billion rows there are a million of them, of which nobody needs a copy. */
let known: { key: string; blocks: readonly Block[][] } | null = null;

/** The blocks of each shard, in file order: all blocks, permuted by the seed, are assigned to the shards in turn. */
export function shardBlocks(layout: Layout): readonly Block[][] {
  const { rows, shards, blockRows, seed } = layout;
  const key = [rows, shards, blockRows, seed].join('/');
  if (known?.key !== key) known = { key, blocks: dealtOut(layout) };
  return known.blocks;
}

function dealtOut(layout: Layout): Block[][] {
  const total = blockCount(layout);
  const order = shuffledPrefix(generator(layout.seed, 'blocks'), total, total);
  const shards: number[][] = Array.from({ length: layout.shards }, () => []);
  order.forEach((index, i) => {
    shards[i % layout.shards].push(index);
  });
  return shards.map((list) => list.sort((a, b) => a - b).map((index) => block(layout, index)));
}

/** The blocks of each shard, then, as of one more, all blocks of the file. */
export function unitBlocks(layout: Layout): Block[][] {
  const shards = shardBlocks(layout);
  const all = Array<Block>(blockCount(layout));
  for (const own of shards) for (const block of own) all[block.index] = block;
  return [...shards, all];
}

/** Half of a shard's n sample rows, for replicates of a run: another half for each replicate. */

/** The number of rows in a half. */
export const halfSize = (n: number) => Math.ceil(n / 2);

/**
 * The places of the half's rows among the shard's sample rows, ascending. They depend on seed, replicate (from 1) and shard
 * alone.
 */
export function halfOf(seed: Seed, replicate: number, shard: number, n: number): Uint32Array {
  return shuffledPrefix(generator(seed, 'half', replicate, shard), n, halfSize(n)).sort();
}
