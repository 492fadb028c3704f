import { mapInSlices } from '../../base/slices.ts';
import { concat, splitEvenly } from '../../model/arrays.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { type Covariance, shift } from '../../model/statistics.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Cell, Task } from '../../proto/tasks.ts';
import { type Nd, nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Result } from '../scheduler/round.ts';
import { sumInSlices } from './sums.ts';

/**
 * A partition of the sample's rows into leaves. `cells[g]` is the decision tree for the rows of group g: all rows, or by
 * the clustering net's label, or by that label and the sub-net's.
 */
export interface Partition {
  groups: 'all' | 'net' | 'sub-net';
  cells: Cell[];
  leaves: number;
}

/** The float64 arrays that a task returns: of one shard, or summed over all. */
export type ResultArrays = Record<string, Float64Array>;

/** A direction; the mean and standard deviation of the rows along it. */
export interface Axis {
  axis: Float64Array;
  centre: number;
  sd: number;
}

/** Rounds over the training sample, one unit per shard. `vectors`: the rows that cells refer to by index. */
export interface Rounds {
  /** Runs one task; returns each shard's arrays, in shard order. */
  perShard(task: Task): Promise<ResultArrays[]>;
  /** Runs several tasks in one round; returns each task's arrays summed over all shards. */
  sum(tasks: Task[]): Promise<ResultArrays[]>;
  /** Number and sum of the rows in each leaf, for several partitions at once. */
  cellSums(partitions: Partition[], vectors: Float64Array[]): Promise<{ n: number; s: Float64Array }[][]>;
  /**
   * Statistics T of each leaf with hard assignments, in float64. Computed about `pivots`, points near the leaves' means,
   * to avoid cancellation.
   */
  cellStatistics(
    partitions: Partition[],
    vectors: Float64Array[],
    pivots: Float64Array[][],
  ): Promise<Float64Array[][]>;
  /** Histograms of each leaf's rows projected on its axes, as many for each leaf; in the order of `axes`. */
  cellHistograms(
    partition: Partition,
    vectors: Float64Array[],
    axes: Axis[],
    bins: number,
  ): Promise<Float64Array[]>;
  /** Σ‖u‖²uuᵀ over each leaf's rows, [D,D], with u = inverse·(x − centre), no longer than 2√D. */
  cellFourthMoments(
    partition: Partition,
    vectors: Float64Array[],
    whitening: { centre: Float64Array; inverse: Float64Array }[],
  ): Promise<Float64Array[]>;
}

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

/** `shardRows`: those of `shardSizes`. */
export function createRounds(
  dispatcher: Dispatcher,
  shardRows: number[],
  d: number,
  covariance: Covariance,
): Rounds {
  const units = shardRows.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 }));
  const round = (tasks: Task[], sum: boolean) => dispatcher.round({ tasks, units, sum, sampled: shardRows });
  const float64Of = (tensors: Tensors): ResultArrays =>
    Object.fromEntries(Object.keys(tensors).map((name) => [name, take(tensors, name, 'float64')]));

  async function sum(tasks: Task[]): Promise<ResultArrays[]> {
    const results = await round(tasks, true);
    const sums: ResultArrays[] = [];
    for (const task of tasks.keys()) {
      sums[task] = {};
      for (const name of Object.keys(results[0].tasks[task]))
        sums[task][name] = await sumOf(results, task, name);
    }
    return sums;
  }

  return {
    async perShard(task) {
      const results = await round([task], false);
      return results.map(({ tasks: [tensors] }) => float64Of(tensors));
    },
    sum,
    ...cellRounds(dispatcher, sum, d, covariance),
  };
}

function cellRounds(
  dispatcher: Dispatcher,
  sum: Rounds['sum'],
  d: number,
  covariance: Covariance,
): Omit<Rounds, 'perShard' | 'sum'> {
  return {
    async cellSums(partitions, vectors) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const sums = await sum(
        partitions.map((partition) => ({ task: 'cell-sums', vectors: 'vectors', ...partition })),
      );
      return sums.map(({ n, s }, i) =>
        splitEvenly(s, partitions[i].leaves).map((s, leaf) => ({ n: n[leaf], s })),
      );
    },
    async cellStatistics(partitions, vectors, pivots) {
      // A partition without cells still has one leaf.
      const pivotRows = pivots.map((rows) => (rows.length ? rows : [new Float64Array(d)]));
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const tasks = partitions.map((partition, i): Task => {
        dispatcher.publish(`pivots${i}`, { rows: rowsTensor(pivotRows[i], d) });
        const diagonal = covariance === 'diag';
        return { task: 'cell-scatter', vectors: 'vectors', pivots: `pivots${i}`, diagonal, ...partition };
      });
      const sums = await sum(tasks);
      const statistics: Float64Array[][] = [];
      for (const [i, { T: flat }] of sums.entries()) {
        const { length } = pivotRows[i];
        const size = flat.length / length;
        statistics[i] = await mapInSlices(pivotRows[i], (pivot, leaf) =>
          shift(flat.subarray(leaf * size, (leaf + 1) * size), d, covariance, pivot),
        );
      }
      return statistics;
    },
    async cellHistograms(partition, vectors, axes, bins) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      dispatcher.publish('axes', {
        rows: rowsTensor(
          axes.map(({ axis }) => axis),
          d,
        ),
        centre: nd(Float64Array.from(axes, ({ centre }) => centre)),
        sd: nd(Float64Array.from(axes, ({ sd }) => sd)),
      });
      const [{ counts }] = await sum([
        { task: 'cell-histogram', vectors: 'vectors', axes: 'axes', bins, ...partition },
      ]);
      return splitEvenly(counts, axes.length);
    },
    async cellFourthMoments(partition, vectors, whitening) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const { leaves } = partition;
      const inverses = concat(
        whitening.map(({ inverse }) => inverse),
        Float64Array,
      );
      dispatcher.publish('whitening', {
        centre: rowsTensor(
          whitening.map(({ centre }) => centre),
          d,
        ),
        inverse: nd(inverses, leaves, d, d),
      });
      const [{ F }] = await sum([
        { task: 'cell-fourth-moments', vectors: 'vectors', whitening: 'whitening', ...partition },
      ]);
      return splitEvenly(F, leaves);
    },
  };
}

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
  return sumInSlices(byShard);
}
