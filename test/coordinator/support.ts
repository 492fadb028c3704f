// What the coordinator's tests share: blobs, rounds computed in memory, a run and a state to step from.
import assert from 'node:assert/strict';
import { createCalculator } from '../../coordinator/training/calculation/calculator.ts';
import type { Partition, Rounds } from '../../coordinator/training/rounds.ts';
import type { Run } from '../../coordinator/training/run-context.ts';
import { mStep } from '../../model/mixture.ts';
import { clusteringNet, type Net, subNets } from '../../model/net.ts';
import { niwPrior, priorScale } from '../../model/niw.ts';
import { BINS, binOf } from '../../model/pca-split.ts';
import { fastSchedule, type Schedule, type Step } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { accumulate, type Covariance, mean, scatter, statisticsLength } from '../../model/statistics.ts';
import type { Cell } from '../../proto/tasks.ts';
import type { RunEvent } from '../../view/events.ts';

export type Point = number[];

/** Of small problems, so no thread is started. */
export const { calculate } = createCalculator(Number.POSITIVE_INFINITY);

/** Uniform numbers in [0, 1), integers and standard normal numbers from a small generator for tests. */
export function randomNumbers(seed: number) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    uniform,
    below: (n: number) => Math.floor(uniform() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** `count` rows around each centre, blob by blob; `blob[i]` is the blob of row i. */
export function blobs(seed: number, centres: Point[], count: number, sd = 1) {
  const { normal } = randomNumbers(seed);
  const rows: Point[] = [];
  const blob: number[] = [];
  for (const [b, centre] of centres.entries()) {
    for (let i = 0; i < count; i++) {
      rows.push(centre.map((value) => value + sd * normal()));
      blob.push(b);
    }
  }
  return { rows, blob };
}

export function statisticsOf(rows: Point[], covariance: Covariance = 'full', d = rows[0].length) {
  const T = new Float64Array(statisticsLength(d, covariance));
  for (const row of rows) accumulate(T, 0, Float64Array.from(row), 0, d, covariance, 1);
  return T;
}

/** Rows with their labels `z` by the clustering net and their sides by the sub-nets. */
export interface Data {
  rows: Point[];
  z: number[];
  side?: number[];
  covariance?: Covariance;
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0);
export const squares = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);

/** The leaf of a row, from the definition of a cell. */
function leafOf(cell: Cell, row: Point, vectors: Float64Array[]): number {
  if (typeof cell === 'number') return cell;
  if ('axis' in cell) return leafOf(cell.into[dot(row, vectors[cell.axis]) < cell.at ? 0 : 1], row, vectors);
  const distances = cell.near.map((v) => squares(row, vectors[v]));
  return leafOf(cell.into[distances.indexOf(Math.min(...distances))], row, vectors);
}

export interface MemoryRounds extends Rounds {
  /** Number of rounds of each kind. */
  calls: { cellSums: number; cellStatistics: number; cellHistogram: number };
  /** The rows of each leaf. */
  members(partition: Partition, vectors: Float64Array[]): Point[][];
}

/** Rounds over rows in memory, computed from the definitions instead of by tasks; rejects what a worker could not run. */
export function memoryRounds({ rows, z, side, covariance = 'full' }: Data): MemoryRounds {
  const d = rows[0].length;
  const calls = { cellSums: 0, cellStatistics: 0, cellHistogram: 0 };

  function members(partition: Partition, vectors: Float64Array[]): Point[][] {
    const { groups, cells, leaves } = partition;
    const byLeaf: Point[][] = Array.from({ length: leaves }, () => []);
    rows.forEach((row, i) => {
      if (groups === 'sub-net' && !side) throw new Error('the test gives no sub-net sides');
      const group = groups === 'all' ? 0 : groups === 'net' ? z[i] : 2 * z[i] + side![i];
      if (cells[group] === undefined) throw new Error(`${groups} has no cell for group ${group}`);
      const leaf = leafOf(cells[group], row, vectors);
      if (leaf === -1) return;
      if (!byLeaf[leaf]) throw new Error(`leaf ${leaf} of ${leaves}`);
      byLeaf[leaf].push(row);
    });
    return byLeaf;
  }

  return {
    calls,
    members,
    perShard: () => Promise.reject(new Error('no tasks in memory')),
    sum: () => Promise.reject(new Error('no tasks in memory')),
    async cellSums(partitions, vectors) {
      calls.cellSums++;
      return partitions.map((partition) =>
        members(partition, vectors).map((own) => ({
          n: own.length,
          s: Float64Array.from({ length: d }, (_, j) => own.reduce((sum, row) => sum + row[j], 0)),
        })),
      );
    },
    async cellStatistics(partitions, vectors, pivots) {
      calls.cellStatistics++;
      return partitions.map((partition, i) => {
        if (pivots[i].length !== partition.leaves)
          throw new Error(`${pivots[i].length} pivots for ${partition.leaves} leaves`);
        return members(partition, vectors).map((own) => statisticsOf(own, covariance, d));
      });
    },
    async cellHistogram(partition, vectors, axes) {
      calls.cellHistogram++;
      if (axes.length !== partition.leaves) throw new Error(`${axes.length} axes`);
      return members(partition, vectors).map((own, leaf) => {
        const { axis, centre, sd } = axes[leaf];
        const counts = new Float64Array(BINS);
        for (const row of own) counts[binOf(dot(row, axis), centre, sd)]++;
        return counts;
      });
    },
  };
}

export interface Scene {
  run: Run;
  state: State;
  rounds: MemoryRounds;
  events: RunEvent[];
  /** Names of published states, in order. */
  published: string[];
}

/** A run whose clustering net labels the rows by `z`, in the epoch of a split or merge step. */
export function scene(
  data: Data,
  options: { k?: number; steps?: Step[]; schedule?: Partial<Schedule>; zeta?: number; epoch?: number } = {},
): Scene {
  const { rows, z, side, covariance = 'full' } = data;
  const d = rows[0].length;
  const k = options.k ?? Math.max(...z) + 1;
  const seed = 7n;
  const all = statisticsOf(rows);
  const spread = scatter(statisticsOf(rows, covariance), d, covariance).map(
    (value) => value / (rows.length - 1),
  );
  const prior = niwPrior({
    mean: mean(all, d),
    kappa: 1e-4,
    nu: d + 2,
    psi: priorScale('data-cov', 0.3, spread, covariance),
    covariance,
  });
  const rounds = memoryRounds(data);
  const events: RunEvent[] = [];
  const published: string[] = [];
  const ofCluster = (c: number, of?: number) =>
    rows.filter((_, i) => z[i] === c && (of === undefined || (side?.[i] ?? 0) === of));
  const T = Array.from({ length: k }, (_, c) => statisticsOf(ofCluster(c), covariance, d));
  const run = {
    config: { alpha: 10, covariance, freeze: 2 },
    schedule: { ...fastSchedule(6), ...options.schedule },
    seed,
    d,
    prior,
    zeta: options.zeta ?? 1,
    dispatcher: { publish: (name: string) => void published.push(name) },
    rounds,
    calculate,
    emit: (event: RunEvent) => void events.push(event),
  } as unknown as Run;
  const state: State = {
    epoch: options.epoch ?? 6,
    mixture: mStep(prior, T, 0),
    net: trained(clusteringNet(seed, d, [5], k)),
    subs: trained(subNets(seed, d, k)),
    parts: T.map((_, c) => [0, 1].map((half) => statisticsOf(ofCluster(c, half), covariance, d))),
    frozen: 0,
    steps: options.steps ?? [],
  };
  return { run, state, rounds, events, published };
}

/** A net whose Adam moments differ for each unit. */
function trained(net: Net): Net {
  const moments = (scale: number) => net.params.map((values) => values.map((_, i) => scale * (i + 1)));
  return { ...net, first: moments(0.1), second: moments(0.01), steps: 60 };
}

/** The index of the centre nearest to a row. */
export const nearestOf = (row: ArrayLike<number>, centres: ArrayLike<number>[]) => {
  const distances = centres.map((centre) => squares(row, centre));
  return distances.indexOf(Math.min(...distances));
};

/** |actual − expected| ≤ tolerance · max(1, |expected|), entry by entry. */
export function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  Array.from(expected).forEach((value, i) => {
    const within = Math.abs(actual[i] - value) <= tolerance * Math.max(1, Math.abs(value));
    assert.ok(within, `entry ${i}: ${actual[i]} is not within ${tolerance} of ${value}`);
  });
}

/**
 * Asserts that output unit `unit` of the resized nets comes from unit `from`: the clustering net's column copied, with
 * Adam's first moment zeroed if it is `fresh`, and that its sub-net was redrawn only then.
 */
export function assertUnit(before: State, after: State, unit: number, from: number, fresh: boolean): void {
  const column = (net: Net, arrays: Float32Array[], c: number) => {
    const k = net.shapes.at(-1)![0];
    return arrays.slice(-2).flatMap((values) => Array.from(values).filter((_, i) => i % k === c));
  };
  const slice = (net: Net, arrays: Float32Array[], c: number) =>
    arrays.flatMap((values) => {
      const size = values.length / net.shapes[0][0];
      return [...values.subarray(c * size, (c + 1) * size)];
    });
  for (const name of ['params', 'second'] as const)
    assert.deepEqual(
      column(after.net, after.net[name], unit),
      column(before.net, before.net[name], from),
      name,
    );
  const first = column(before.net, before.net.first, from);
  assert.deepEqual(column(after.net, after.net.first, unit), fresh ? first.map(() => 0) : first, 'first');
  const sub = [slice(after.subs, after.subs.params, unit), slice(before.subs, before.subs.params, from)];
  if (fresh) assert.notDeepEqual(sub[0], sub[1], 'a fresh sub-net');
  else assert.deepEqual(sub[0], sub[1], 'its own sub-net');
}
