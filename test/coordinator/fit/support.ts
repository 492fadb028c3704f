// What the coordinator's tests share: blobs, rounds computed in memory, a run and a state to step from.
import assert from 'node:assert/strict';
import type { Means } from '../../../coordinator/fit/halves.ts';
import type { TrainingRun } from '../../../coordinator/fit/run-context.ts';
import type { Cell } from '../../../model/cells.ts';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { learnedScale, type Niw, niwPrior, priorScale } from '../../../model/gaussian/niw.ts';
import { binOf } from '../../../model/gaussian/splits.ts';
import { clusteringNet, type Net, subNets } from '../../../model/nets/net.ts';
import { ROW_NUMBERS } from '../../../model/row-columns.ts';
import { fastSchedule, type Schedule, type Step } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import { type Covariance, mean, scatter, statisticsLength } from '../../../model/statistics.ts';
import { MOST_SHOWN } from '../../../model/widths.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { RunEvent } from '../../../run/events.ts';
import type { Partition, Rounds } from '../../../tasks/cells/ask.ts';
import { accumulate } from '../../model/support.ts';

export type Point = number[];

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

/** Points of two coordinates each. */
export const pairs = (...values: number[]): Point[] =>
  Array.from({ length: values.length / 2 }, (_, i) => values.slice(2 * i, 2 * i + 2));

/** The items at the wanted places. */
export const where = <T>(items: readonly T[], wanted: (i: number) => boolean): T[] =>
  items.filter((_, i) => wanted(i));

/** The items with this label. */
export const ofLabel = <T>(items: readonly T[], labels: ArrayLike<number>, label: number): T[] =>
  items.filter((_, i) => labels[i] === label);

export const meanOf = (rows: Point[]): Point =>
  rows[0].map((_, j) => rows.reduce((sum, row) => sum + row[j], 0) / rows.length);

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

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
export function squares(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

/** The leaf of a row, from the definition of a cell. */
function leafOf(cell: Cell, row: Point, vectors: Float64Array[]): number {
  if (typeof cell === 'number') return cell;
  if ('axis' in cell) return leafOf(cell.into[dot(row, vectors[cell.axis]) < cell.at ? 0 : 1], row, vectors);
  if ('linear' in cell) {
    const values = cell.linear.map((v, i) => dot(row, vectors[v]) + cell.offsets[i]);
    return leafOf(cell.into[values.indexOf(Math.max(...values))], row, vectors);
  }
  const distances = cell.near.map((v) => squares(row, vectors[v]));
  return leafOf(cell.into[distances.indexOf(Math.min(...distances))], row, vectors);
}

export interface MemoryRounds extends Rounds {
  /** Number of rounds of each kind. */
  calls: { cellSums: number; cellStatistics: number; cellHistograms: number; cellFourthMoments: number };
  /** The rows of each leaf. */
  members(partition: Partition, vectors: Float64Array[]): Point[][];
}

/** Rounds over rows in memory, computed from the definitions instead of by tasks; rejects what a worker could not run. */
export function memoryRounds({ rows, z, side, covariance = 'full' }: Data): MemoryRounds {
  const d = rows[0].length;
  const calls = { cellSums: 0, cellStatistics: 0, cellHistograms: 0, cellFourthMoments: 0 };

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
        // Without cells there is still one leaf.
        if (Math.max(1, pivots[i].length) !== partition.leaves)
          throw new Error(`${pivots[i].length} pivots for ${partition.leaves} leaves`);
        return members(partition, vectors).map((own) => statisticsOf(own, covariance, d));
      });
    },
    async cellHistograms(partition, vectors, axes, bins) {
      calls.cellHistograms++;
      const perLeaf = axes.length / partition.leaves;
      if (!(perLeaf > 0 && Number.isInteger(perLeaf)))
        throw new Error(`${axes.length} axes for ${partition.leaves} leaves`);
      const leaves = members(partition, vectors);
      return axes.map(({ axis, centre, sd }, i) => {
        const counts = new Float64Array(bins);
        for (const row of leaves[Math.floor(i / perLeaf)]) counts[binOf(dot(row, axis), centre, sd, bins)]++;
        return counts;
      });
    },
    async cellFourthMoments(partition, vectors, whitening) {
      calls.cellFourthMoments++;
      if (whitening.length !== partition.leaves)
        throw new Error(`${whitening.length} whitenings for ${partition.leaves} leaves`);
      return members(partition, vectors).map((own, leaf) => fourthMoments(own, whitening[leaf]));
    },
  };
}

/** Σ‖u‖²uuᵀ of rows, with u = inverse·(x − centre), no longer than 2√D. */
export function fourthMoments(
  rows: Point[],
  { centre, inverse }: { centre: ArrayLike<number>; inverse: ArrayLike<number> },
): Float64Array {
  const d = centre.length;
  const F = new Float64Array(d * d);
  for (const row of rows) {
    const centred = row.map((value, j) => value - centre[j]);
    const u = centred.map((_, i) => centred.reduce((sum, value, j) => sum + inverse[i * d + j] * value, 0));
    const norm = Math.hypot(...u);
    const short = u.map((value) => value * Math.min(1, (2 * Math.sqrt(d)) / norm));
    for (let p = 0; p < d * d; p++) F[p] += dot(short, short) * short[Math.floor(p / d)] * short[p % d];
  }
  return F;
}

/** What parts of these rows are found with. */
export const meansOf = (data: Data): Means & { rounds: MemoryRounds } => ({
  rounds: memoryRounds(data),
  d: data.rows[0].length,
  config: { covariance: data.covariance ?? 'full' },
});

export interface Scene {
  run: TrainingRun;
  state: State;
  rounds: MemoryRounds;
  events: RunEvent[];
  /** Names of published states, in order. */
  published: string[];
}

/** A run whose clustering net labels the rows by `z`, in the epoch of a split or merge step. */
export function scene(
  data: Data,
  options: {
    k?: number;
    steps?: Step[];
    schedule?: Partial<Schedule>;
    zeta?: number;
    epoch?: number;
    /** Ψ is learned, from the clusters by `z`; otherwise it is that of `data-cov`. */
    learned?: boolean;
  } = {},
): Scene {
  const { rows, z, side, covariance = 'full' } = data;
  const d = rows[0].length;
  const k = options.k ?? Math.max(...z) + 1;
  const seed = 7n;
  const all = statisticsOf(rows);
  const spread = scatter(statisticsOf(rows, covariance), d, covariance).map(
    (value) => value / (rows.length - 1),
  );
  const rounds = memoryRounds(data);
  const events: RunEvent[] = [];
  const published: string[] = [];
  const ofCluster = (c: number, of?: number) =>
    rows.filter((_, i) => z[i] === c && (of === undefined || (side?.[i] ?? 0) === of));
  const T = Array.from({ length: k }, (_, c) => statisticsOf(ofCluster(c), covariance, d));
  const priorScaleChoice = options.learned ? 'learned' : 'data-cov';
  const prior = options.learned
    ? learnedPriorOf(T, mean(all, d), spread, covariance)
    : niwPrior({
        mean: mean(all, d),
        kappa: 1e-4,
        nu: d + 2,
        psi: priorScale('data-cov', 0.3, spread, covariance),
        covariance,
      });
  const sample = { below: 1, rows: rows.length, smallestShard: rows.length };
  const schedule = { ...fastSchedule(6), ...options.schedule };
  const run = {
    config: {
      ...{ alpha: 10, covariance, freeze: 2, priorScaleChoice },
      coarsening: (options.zeta ?? 1) * rows.length,
    },
    schedule,
    seed,
    d,
    prior,
    sample,
    dispatcher: { publish: (name: string) => void published.push(name) },
    rounds,
    emit: (event: RunEvent) => void events.push(event),
  } as unknown as TrainingRun;
  const state: State = {
    epoch: options.epoch ?? 6,
    sample,
    mixture: mStep(prior, T, 0),
    prior,
    net: trained(clusteringNet(seed, d, [5], k)),
    subs: trained(subNets(seed, d, k)),
    parts: T.map((_, c) => [0, 1].map((half) => statisticsOf(ofCluster(c, half), covariance, d))),
    merged: [],
    frozen: 0,
    patience: schedule.patience,
    untilStep: 0,
    overlaps: false,
    loss: null,
    lossSinceChange: null,
    steps: options.steps ?? [],
  };
  return { run, state, rounds, events, published };
}

/** The prior as a run would have learned it from clusters with statistics T. */
function learnedPriorOf(
  T: Float64Array[],
  m: Float64Array,
  spread: Float64Array,
  covariance: Covariance,
): Niw {
  const d = m.length;
  const nu = d + 1 + Math.max(1, d / 2);
  const n = T.reduce((sum, t) => sum + t[0], 0);
  const filled = T.filter((t) => t[0] > 0);
  const psi = learnedScale(
    1,
    nu,
    d,
    filled.map((t) => t[0] / n),
    filled.map((t) => scatter(t, d, covariance).map((value) => value / t[0])),
    spread,
  );
  return niwPrior({ mean: m, kappa: 1e-4, nu, psi, covariance, estimate: 'mean' });
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

/** The same for several arrays, one after the other. */
export const assertAllClose = (
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  tolerance: number,
): void =>
  assertClose(
    actual.flatMap((values) => Array.from(values)),
    expected.flatMap((values) => Array.from(values)),
    tolerance,
  );

/**
 * Asserts that output unit `unit` of the resized nets comes from unit `from`: the clustering net's column copied, its bias
 * increased by the logarithm of the part's `share` of the rows, with Adam's first moment zeroed if it is `fresh`, and that its
 * sub-net was redrawn only then.
 */
export function assertUnit(
  before: State,
  after: State,
  unit: number,
  from: number,
  fresh: boolean,
  share = 1,
): void {
  const column = (net: Net, arrays: Float32Array[], c: number) => {
    const k = net.shapes.at(-1)![0];
    return arrays.slice(-2).flatMap((values) => Array.from(values).filter((_, i) => i % k === c));
  };
  const slice = (net: Net, arrays: Float32Array[], c: number) =>
    arrays.flatMap((values) => {
      const size = values.length / net.shapes[0][0];
      return [...values.subarray(c * size, (c + 1) * size)];
    });
  const weights = column(before.net, before.net.params, from);
  const bias = Math.fround(weights.pop()! + Math.log(share));
  assert.deepEqual(column(after.net, after.net.params, unit), [...weights, bias], 'params');
  assert.deepEqual(
    column(after.net, after.net.second, unit),
    column(before.net, before.net.second, from),
    'second',
  );
  const first = column(before.net, before.net.first, from);
  assert.deepEqual(column(after.net, after.net.first, unit), fresh ? first.map(() => 0) : first, 'first');
  const sub = [slice(after.subs, after.subs.params, unit), slice(before.subs, before.subs.params, from)];
  if (fresh) assert.notDeepEqual(sub[0], sub[1], 'a fresh sub-net');
  else assert.deepEqual(sub[0], sub[1], 'its own sub-net');
}

/** What a result of `full-pass` says of so many rows besides their labels, with no row to show of any cluster. */
export function nothingShown(rows: number, k: number, dim: number): Tensors {
  const none = () => nd(new Int32Array(k * MOST_SHOWN).fill(-1), k, MOST_SHOWN);
  return {
    ...Object.fromEntries(ROW_NUMBERS.map((name) => [name, nd(new Float32Array(rows))])),
    confidence: nd(new Float32Array(rows).fill(1)),
    columns: nd(new Float64Array((k + 1) * dim), k + 1, dim),
    exemplars: none(),
    border: none(),
    rival: none(),
    margin: nd(new Float32Array(k * MOST_SHOWN).fill(-1), k, MOST_SHOWN),
  };
}
