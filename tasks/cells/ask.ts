import type { RoundDispatcher } from '../../coordinator/rounds/dispatcher.ts';
import { type ResultArrays, rowsTensor, sumOf } from '../../coordinator/rounds/sums.ts';
import { concat, splitEvenly } from '../../model/arrays.ts';
import type { Cell } from '../../model/cells.ts';
import { type Covariance, shift } from '../../model/statistics.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Task } from '../table.ts';

/**
 * A partition of the sample's rows into leaves. `cells[g]` is the decision tree for the rows of group g: all rows, or by
 * cluster, or by cluster and the sub-net's label.
 */
export interface Partition {
  groups: 'all' | 'net' | 'sub-net';
  cells: Cell[];
  leaves: number;
}

/** By cluster, into K leaves; rows of `others` after these clusters are in none. */
export const byCluster = (k: number, others = 0): Partition => ofClusters([...Array(k).keys()], k + others);

/** Of these of k clusters, a leaf for each. */
export function ofClusters(chosen: readonly number[], k: number): Partition {
  const cells = new Array<number>(k).fill(-1);
  for (const [leaf, cluster] of chosen.entries()) cells[cluster] = leaf;
  return { groups: 'net', cells, leaves: chosen.length };
}

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

/** `shardRows`: those of `shardSizes`. */
export function createRounds(
  dispatcher: RoundDispatcher,
  shardRows: number[],
  d: number,
  covariance: Covariance,
  byMixture = false,
): Rounds {
  const units = shardRows.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 }));
  const round = (tasks: Task[], sum: boolean) => dispatcher.round({ tasks, units, sum, sampled: shardRows });
  const float64Of = (tensors: Tensors): ResultArrays =>
    Object.fromEntries(Object.keys(tensors).map((name) => [name, take(tensors, name, 'float64')]));

  async function sum(tasks: Task[]): Promise<ResultArrays[]> {
    const results = await round(tasks, true);
    return tasks.map((_, task) => {
      const names = Object.keys(results[0].tasks[task]);
      return Object.fromEntries(names.map((name) => [name, sumOf(results, task, name)]));
    });
  }

  return {
    async perShard(task) {
      const results = await round([task], false);
      return results.map(({ tasks: [tensors] }) => float64Of(tensors));
    },
    sum,
    ...cellRounds(dispatcher, sum, d, covariance, byMixture),
  };
}

function cellRounds(
  dispatcher: RoundDispatcher,
  sum: Rounds['sum'],
  d: number,
  covariance: Covariance,
  byMixture: boolean,
): Omit<Rounds, 'perShard' | 'sum'> {
  const cellsOf = (partition: Partition) => ({ vectors: 'vectors', byMixture, ...partition });
  return {
    async cellSums(partitions, vectors) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const sums = await sum(partitions.map((partition) => ({ task: 'cell-sums', ...cellsOf(partition) })));
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
        return { task: 'cell-scatter', pivots: `pivots${i}`, diagonal, ...cellsOf(partition) };
      });
      const sums = await sum(tasks);
      return sums.map(({ T }, i) =>
        splitEvenly(T, pivotRows[i].length).map((t, leaf) => shift(t, d, covariance, pivotRows[i][leaf])),
      );
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
      const [{ counts }] = await sum([{ task: 'cell-histogram', axes: 'axes', bins, ...cellsOf(partition) }]);
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
        { task: 'cell-fourth-moments', whitening: 'whitening', ...cellsOf(partition) },
      ]);
      return splitEvenly(F, leaves);
    },
  };
}
