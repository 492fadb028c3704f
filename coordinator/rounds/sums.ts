import { type Layout, shardBlocks } from '../../model/layout.ts';
import { type Floats, type PartialSum, treeSum } from '../../model/tree.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { type Nd, nd, take } from '../../proto/tensors.ts';
import type { Result } from './round.ts';

/** The units of a round, and the sums of its results in the order of shards, which is the same whoever computed them. */

/** Rows as a tensor [n, d]; a single row of zeros if there are none, as tensors cannot be empty. */
export function rowsTensor(rows: Float64Array[], d: number): Nd {
  const data = new Float64Array(Math.max(1, rows.length) * d);
  rows.forEach((row, i) => {
    data.set(row, i * d);
  });
  return nd(data, data.length / d, d);
}

/** The number of rows in each shard, sampled or not. */
export const shardSizes = (layout: Layout): number[] =>
  shardBlocks(layout).map((blocks) => blocks.reduce((sum, { count }) => sum + count, 0));

/** The units of a streaming round, of about so many rows each. */
export function unitsOf(layout: Layout, shards: readonly { count: number }[][], rows: number): WorkUnit[] {
  const blocks = Math.max(1, Math.floor(rows / layout.blockRows));
  return shards.flatMap((own, shard) =>
    Array.from({ length: Math.ceil(own.length / blocks) }, (_, i) => ({
      shard,
      from: i * blocks,
      to: Math.min(own.length, (i + 1) * blocks),
    })),
  );
}

/** The float64 arrays that a task returns: of one shard, or summed over all. */
export type ResultArrays = Record<string, Float64Array>;

/** The sum of an array over all results of a round that asked for sums. `task`: the index of its task. */
export function sumOf<D extends 'float64' | 'float32' = 'float64'>(
  results: Result[],
  task: number,
  name: string,
  dtype = 'float64' as D,
) {
  // Sparse: workers may have summed aligned groups of shards already.
  const byShard: ReturnType<typeof take<D>>[] = [];
  for (const { from, tasks } of results) byShard[from] = take(tasks[task], name, dtype);
  return sumOfParts(byShard);
}

/** The sum of an array over nodes that are apart. */
export function sumOfNodes(nodes: readonly PartialSum[], name: string): Float64Array {
  const parts: Float64Array[] = [];
  for (const { from, sums } of nodes) parts[from] = sums[name] as Float64Array;
  return sumOfParts(parts);
}

/** Numbers of each array that are added up at once, so that they stay in the cache and few copies are needed. */
const PIECE = 1 << 16;

/** `treeSum` in the type of the parts, piece by piece: each number of the sum depends on those at its place only. */
export function sumOfParts<S extends Floats>(parts: (S | undefined)[]): S {
  const first = parts.find((part) => part !== undefined)!;
  const Sums = first.constructor as new (values: ArrayLike<number> | number) => S;
  const { length } = first;
  const out = new Sums(length);
  for (let from = 0; from < length; from += PIECE) {
    const pieces = Array.from(parts, (part) => part?.subarray(from, from + PIECE));
    out.set(treeSum<S>(pieces, Sums), from);
  }
  return out;
}
