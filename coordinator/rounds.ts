import type { Net } from '../model/net.ts';
import { BINS } from '../model/pca-split.ts';
import { shift } from '../model/statistics.ts';
import type { Unit } from '../proto/messages.ts';
import type { Cell, Task } from '../proto/tasks.ts';
import { nd, type Tensors, take } from '../proto/tensors.ts';
import type { Dispatcher } from './dispatch.ts';
import { treeSum, weightedMean } from './reduce.ts';

/** Which rows reach which leaf: by the clustering net's label (`cells[k]`), or all rows alike. */
export interface Leaves {
  groups: 'all' | 'net' | 'sub-net';
  cells: Cell[];
  leaves: number;
}

/** Rounds over the sample, one for each task, with their results reduced. Units are whole shards. */
export interface Rounds {
  /** A round of any tasks over the sample: for each task the results of all shards, in order. */
  run(tasks: Task[], uses: string[]): Promise<Tensors[][]>;
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

export function createRounds(dispatcher: Dispatcher, units: Unit[], d: number, diagonal: boolean): Rounds {
  const rowsState = (rows: Float64Array[]) => {
    const data = new Float64Array(Math.max(1, rows.length) * d);
    rows.forEach((row, i) => {
      data.set(row, i * d);
    });
    return nd(data, data.length / d, d);
  };
  const needs = (partitions: Leaves[]) => {
    const groups = partitions.map((partition) => partition.groups);
    return groups.includes('sub-net') ? ['net', 'subs'] : groups.includes('net') ? ['net'] : [];
  };
  const stretches = (flat: Float64Array, count: number) =>
    Array.from({ length: count }, (_, i) =>
      flat.slice((i * flat.length) / count, ((i + 1) * flat.length) / count),
    );

  async function run(tasks: Task[], uses: string[]): Promise<Tensors[][]> {
    const results = await dispatcher.round({ tasks, uses: ['transform', ...uses], units, streams: false });
    return tasks.map((_, task) => results.map((unit) => unit[task]));
  }

  return {
    run,
    async sums(partitions, vectors) {
      dispatcher.publish('vectors', { rows: rowsState(vectors) });
      const tasks = partitions.map(
        (partition): Task => ({ task: 'cell-sums', vectors: 'vectors', ...partition }),
      );
      const results = await run(tasks, ['vectors', ...needs(partitions)]);
      return results.map((parts, i) => {
        const { leaves } = partitions[i];
        const n = treeSum(parts.map((part) => take(part, 'n', 'float64', leaves)));
        const s = treeSum(parts.map((part) => take(part, 's', 'float64', leaves * d)));
        return stretches(s, leaves).map((sum, leaf) => ({ n: n[leaf], s: sum }));
      });
    },
    async scatter(partitions, vectors, pivots) {
      // A partition in which no cluster takes part has one leaf all the same.
      const full = pivots.map((rows) => (rows.length ? rows : [new Float64Array(d)]));
      dispatcher.publish('vectors', { rows: rowsState(vectors) });
      const tasks = partitions.map((partition, i): Task => {
        dispatcher.publish(`pivots${i}`, { rows: rowsState(full[i]) });
        return { task: 'cell-scatter', vectors: 'vectors', pivots: `pivots${i}`, diagonal, ...partition };
      });
      const names = partitions.map((_, i) => `pivots${i}`);
      const results = await run(tasks, ['vectors', ...names, ...needs(partitions)]);
      return results.map((parts, i) => {
        const flat = treeSum(parts.map((part) => take(part, 'T', 'float64')));
        return stretches(flat, partitions[i].leaves).map((T, leaf) =>
          shift(T, d, diagonal ? 'diag' : 'full', full[i][leaf]),
        );
      });
    },
    async histogram(partition, vectors, axes) {
      dispatcher.publish('vectors', { rows: rowsState(vectors) });
      dispatcher.publish('axes', {
        rows: rowsState(axes.map(({ axis }) => axis)),
        centre: nd(Float64Array.from(axes, ({ centre }) => centre)),
        sd: nd(Float64Array.from(axes, ({ sd }) => sd)),
      });
      const [parts] = await run(
        [{ task: 'cell-histogram', vectors: 'vectors', axes: 'axes', ...partition }],
        ['vectors', 'axes', ...needs([partition])],
      );
      const size = partition.leaves * BINS;
      return stretches(treeSum(parts.map((part) => take(part, 'counts', 'uint32', size))), partition.leaves);
    },
  };
}

/** The state of a net's weights, and that of Adam's moments. */
export function netStates(net: Net): { weights: Tensors; moments: Tensors } {
  const named = (prefix: string, arrays: Float32Array[]) =>
    arrays.map((data, i): [string, Tensors[string]] => [`${prefix}${i}`, nd(data, ...net.shapes[i])]);
  return {
    weights: Object.fromEntries(named('p', net.params)),
    moments: Object.fromEntries([...named('m', net.first), ...named('v', net.second)]),
  };
}

/**
 * The net after a round of local steps: weights and moments averaged over shards, each shard weighing its `count` (of
 * each of the K stacked nets). Also the mean loss.
 */
export function averageNets(net: Net, parts: Tensors[], steps: number): { net: Net; loss: number } {
  const active = parts.filter((part) => 'loss' in part);
  const weights = active.map((part) => take(part, 'count', 'float64'));
  const mean = (prefix: string, otherwise: Float32Array[]) =>
    otherwise.map((values, i) =>
      weightedMean(
        active.map((part) => take(part, `${prefix}${i}`, 'float32', values.length)),
        weights,
        values,
      ),
    );
  return {
    loss: meanLoss(active),
    net: {
      shapes: net.shapes,
      params: mean('p', net.params),
      first: mean('m', net.first),
      second: mean('v', net.second),
      steps: net.steps + steps,
    },
  };
}

/** The mean gradient over shards, weighted like `averageNets`; float64. */
export function averageGradients(net: Net, parts: Tensors[]): { gradients: Float64Array[]; loss: number } {
  const active = parts.filter((part) => 'loss' in part);
  const weights = active.map((part) => take(part, 'count', 'float64'));
  const gradients = net.params.map((values, i) =>
    Float64Array.from(
      weightedMean(
        active.map((part) => take(part, `g${i}`, 'float32', values.length)),
        weights,
        new Float32Array(values.length),
      ),
    ),
  );
  return { gradients, loss: meanLoss(active) };
}

function meanLoss(parts: Tensors[]): number {
  return treeSum(parts.map((part) => take(part, 'loss', 'float64', 1)))[0] / parts.length;
}
