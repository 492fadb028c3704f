import { BINS } from '../../model/pca-split.ts';
import { type Covariance, shift, statisticsLength } from '../../model/statistics.ts';
import { treeSum } from '../../model/tree.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Cell, Task } from '../../proto/tasks.ts';
import { type Nd, nd, take } from '../../proto/tensors.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Expected, Result } from '../scheduler/round.ts';

/** Which rows reach which leaf: by the clustering net's label (`cells[k]`), or all rows alike. */
export interface Leaves {
  groups: 'all' | 'net' | 'sub-net';
  cells: Cell[];
  leaves: number;
}

/** How many numbers a task gives under each name, all float64. */
export type Lengths = Record<string, number>;
/** What they add up to over all shards. */
export type Sums = Record<string, Float64Array>;

/** Rounds over the sample; units are whole shards. */
export interface Rounds {
  /** One task: the results of all shards, in order. */
  run(task: Task, lengths: Lengths, uses: string[]): Promise<Sums[]>;
  /** Several tasks in one round: the sums of each over all shards. */
  sum(tasks: [Task, Lengths][], uses: string[]): Promise<Sums[]>;
  /** Rows and sums of each leaf, for several partitions at once. */
  sums(partitions: Leaves[], vectors: Float64Array[]): Promise<{ n: number; s: Float64Array }[][]>;
  /** Hard float64 statistics of each leaf; `pivots` are points near the leaves' means. */
  scatter(partitions: Leaves[], vectors: Float64Array[], pivots: Float64Array[][]): Promise<Float64Array[][]>;
  /** Histogram of each leaf along its axis. */
  histogram(
    partition: Leaves,
    vectors: Float64Array[],
    axes: { axis: Float64Array; centre: number; sd: number }[],
  ): Promise<Float64Array[]>;
}

/** Rows of `d` numbers as a tensor, which has one of zeros where there are none. */
export function rowsTensor(rows: Float64Array[], d: number): Nd {
  const data = new Float64Array(Math.max(1, rows.length) * d);
  rows.forEach((row, i) => {
    data.set(row, i * d);
  });
  return nd(data, data.length / d, d);
}

export function createRounds(
  dispatcher: Dispatcher,
  units: WorkUnit[],
  d: number,
  covariance: Covariance,
): Rounds {
  const needs = (partitions: Leaves[]) => {
    const groups = partitions.map((partition) => partition.groups);
    return groups.includes('sub-net') ? ['net', 'subs'] : groups.includes('net') ? ['net'] : [];
  };
  const stretches = (flat: Float64Array, count: number) =>
    Array.from({ length: count }, (_, i) =>
      flat.slice((i * flat.length) / count, ((i + 1) * flat.length) / count),
    );

  const round = (tasks: [Task, Lengths][], uses: string[], sum: boolean) => {
    const expected = tasks.map(([, lengths]): Expected => {
      return Object.fromEntries(Object.entries(lengths).map(([name, length]) => [name, ['float64', length]]));
    });
    return dispatcher.round({
      tasks: tasks.map(([task]) => task),
      uses: ['transform', 'hashes', ...uses],
      units,
      streams: false,
      sum,
      expects: () => expected,
    });
  };

  async function sum(tasks: [Task, Lengths][], uses: string[]): Promise<Sums[]> {
    const results = await round(tasks, uses, true);
    return tasks.map(([, lengths], task) =>
      Object.fromEntries(Object.keys(lengths).map((name) => [name, sumOf(results, task, name)])),
    );
  }

  return {
    async run(task, lengths, uses) {
      const results = await round([[task, lengths]], uses, false);
      return results.map(({ tasks: [tensors] }) =>
        Object.fromEntries(Object.keys(lengths).map((name) => [name, take(tensors, name, 'float64')])),
      );
    },
    sum,
    async sums(partitions, vectors) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const tasks = partitions.map((partition): [Task, Lengths] => [
        { task: 'cell-sums', vectors: 'vectors', ...partition },
        { n: partition.leaves, s: partition.leaves * d },
      ]);
      const found = await sum(tasks, ['vectors', ...needs(partitions)]);
      return found.map(({ n, s }, i) =>
        stretches(s, partitions[i].leaves).map((s, leaf) => ({ n: n[leaf], s })),
      );
    },
    async scatter(partitions, vectors, pivots) {
      // A partition in which no cluster takes part has one leaf all the same.
      const full = pivots.map((rows) => (rows.length ? rows : [new Float64Array(d)]));
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      const tasks = partitions.map((partition, i): [Task, Lengths] => {
        dispatcher.publish(`pivots${i}`, { rows: rowsTensor(full[i], d) });
        return [
          {
            task: 'cell-scatter',
            vectors: 'vectors',
            pivots: `pivots${i}`,
            diagonal: covariance === 'diag',
            ...partition,
          },
          { T: partition.leaves * statisticsLength(d, covariance) },
        ];
      });
      const names = partitions.map((_, i) => `pivots${i}`);
      const found = await sum(tasks, ['vectors', ...names, ...needs(partitions)]);
      return found.map(({ T: flat }, i) =>
        stretches(flat, partitions[i].leaves).map((T, leaf) => shift(T, d, covariance, full[i][leaf])),
      );
    },
    async histogram(partition, vectors, axes) {
      dispatcher.publish('vectors', { rows: rowsTensor(vectors, d) });
      dispatcher.publish('axes', {
        rows: rowsTensor(
          axes.map(({ axis }) => axis),
          d,
        ),
        centre: nd(Float64Array.from(axes, ({ centre }) => centre)),
        sd: nd(Float64Array.from(axes, ({ sd }) => sd)),
      });
      const [{ counts }] = await sum(
        [
          [
            { task: 'cell-histogram', vectors: 'vectors', axes: 'axes', ...partition },
            { counts: partition.leaves * BINS },
          ],
        ],
        ['vectors', 'axes', ...needs([partition])],
      );
      return stretches(counts, partition.leaves);
    },
  };
}

function sumOf(results: Result[], task: number, name: string): Float64Array {
  const places: Float64Array[] = [];
  for (const { from, tasks } of results) places[from] = take(tasks[task], name, 'float64');
  return treeSum(places);
}
