import { generator, shuffledPrefix } from './random.ts';

/** How N rows become blocks and blocks become shards. Part of a run's config: never of who reads them. */
export interface Layout {
  rows: number;
  dim: number;
  shards: number;
  blockRows: number;
  /** Decimal digits of the run's 64-bit seed. */
  seed: string;
}

/** A stretch of rows. */
export interface Block {
  index: number;
  start: number;
  count: number;
}

/** The layout of N rows over S shards: `clamp(2^⌊log2(N/(512·S))⌋, 16, 1024)` rows a block, fewer if shards would go without. */
export function layoutOf(rows: number, dim: number, shards: number, seed: bigint): Layout {
  const wanted = 2 ** Math.floor(Math.log2(rows / (512 * shards)));
  const blockRows = Math.min(Math.max(16, Math.min(1024, wanted)), Math.floor(rows / shards));
  return { rows, dim, shards, blockRows, seed: String(seed) };
}

/** More blocks or shards than this are no run's: their lists alone would fill the memory. */
const MOST_BLOCKS = 1 << 22;
const MOST_SHARDS = 1 << 16;
/** A block has to fit in a message. */
const MOST_BLOCK_BYTES = 1 << 30;

/** Why rows cannot lie so, or null. */
export function layoutProblem(layout: Layout): string | null {
  const { rows, dim, shards, blockRows, seed } = layout;
  const all = [rows, dim, shards, blockRows];
  if (!all.every((value) => Number.isSafeInteger(value) && value >= 1))
    return 'its numbers are not whole and positive';
  if (!Number.isSafeInteger(rows * dim)) return `${rows} × ${dim} are too many numbers`;
  if (shards > MOST_SHARDS) return `more than ${MOST_SHARDS.toLocaleString('en')} shards`;
  if (shards > blockCount(layout)) return `${blockCount(layout)} blocks for ${shards} shards`;
  if (blockCount(layout) > MOST_BLOCKS) return `more than ${MOST_BLOCKS.toLocaleString('en')} blocks`;
  if (blockRows * dim * 4 > MOST_BLOCK_BYTES) return `a block of ${blockRows} rows is larger than a message`;
  return /^\d{1,20}$/.test(seed) && BigInt(seed) < 2n ** 64n ? null : 'its seed is not a number of 64 bits';
}

export const blockCount = (layout: Layout) => Math.ceil(layout.rows / layout.blockRows);

export function block(layout: Layout, index: number): Block {
  const start = index * layout.blockRows;
  return { index, start, count: Math.min(layout.blockRows, layout.rows - start) };
}

/** The blocks of each shard in file order: all blocks, permuted by the seed, dealt in turn. */
export function shardBlocks(layout: Layout): Block[][] {
  const total = blockCount(layout);
  const order = shuffledPrefix(generator(BigInt(layout.seed), 'blocks'), total, total);
  const shards: number[][] = Array.from({ length: layout.shards }, () => []);
  order.forEach((index, i) => {
    shards[i % layout.shards].push(index);
  });
  return shards.map((list) => list.sort((a, b) => a - b).map((index) => block(layout, index)));
}
