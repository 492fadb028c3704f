import { generator, type Seed, shuffledPrefix } from '../random.ts';

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
