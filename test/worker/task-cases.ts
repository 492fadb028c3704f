// Shared by the tests of tasks, of the wire and of faults: a world with every state that tasks read, and every task on it.

import type { Layout } from '../../model/layout.ts';
import { statisticsLength } from '../../model/statistics.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { createStates, type States } from '../../tasks/compute/context.ts';
import { ENTRIES, TASKS, type Task, type TaskName, type TaskOf } from '../../tasks/table.ts';
import { cpuBackend } from '../../worker/compute/backends/host.ts';
import { sampleGraphOf } from './graph-states.ts';
import {
  adamStateOf,
  centresState,
  D,
  encoderStates,
  hashesState,
  mapState,
  range,
  transformState,
  weightsOf,
  world,
} from './support.ts';

const K = 3;
const P = statisticsLength(D, 'full');
export const w = world({ k: K, n: 120, hidden: [4] });
export const SHARDS = range(w.layout.shards);

const f32 = (...shape: number[]) =>
  nd(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.1), ...shape);
const f64 = (...shape: number[]) =>
  nd(new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(0.5), ...shape);
const columns = nd(Int32Array.of(0, 2));
const words = (value: number) => nd(new Uint32Array(8).fill(value), 2, 4);

export const STATES: Record<string, Tensors> = {
  origin: { row: f64(D) },
  transform: transformState(w.transform, w.below),
  hashes: hashesState(w.raw, w.layout),
  'key-ranges': { columns, from: words(2 ** 31), to: words(2 ** 32 - 1) },
  fences: {
    ...{ columns, low: f32(2), high: f32(2), nearLow: f32(2), nearHigh: f32(2) },
    pivot: f64(D),
  },
  net: weightsOf(w.net),
  'net-moments': adamStateOf(w.net),
  'e-step': { theta: f32(P, K), weights: f32(D, K * D), bias: f32(K * D), constant: f32(K) },
  subs: weightsOf(w.subs),
  'subs-moments': adamStateOf(w.subs),
  parts: { centres: f32(K, 2, D), metric: f32(D) },
  vectors: { rows: f64(2, D) },
  pivots0: { rows: f64(2 * K, D) },
  'sub-pivots': { rows: f64(2 * K, D) },
  means: { rows: f64(K, D) },
  axes: { rows: f64(4 * K, D), centre: f64(4 * K), sd: f64(4 * K) },
  whitening: { centre: f64(2 * K, D), inverse: f64(2 * K, D, D) },
  centres: { rows: f64(2, D) },
  'cluster-centres': centresState(K),
  'far-bounds': centresState(K),
  map: mapState(),
  ...sampleGraphOf(w, K).states,
  ...encoderStates(),
};

const steps = { epoch: 1, steps: 2, batch: 8, rate: 0.01, done: 0, average: 'weights' } as const;
const cells: Pick<TaskOf<'cell-sums'>, 'groups' | 'cells' | 'leaves' | 'vectors'> = {
  groups: 'sub-net',
  cells: [
    0,
    { linear: [1, 0], offsets: [-0.5, 0.5], into: [0, 1] },
    { near: [0, 1], into: [2, 3] },
    3,
    { axis: 0, at: 0.5, into: [4, 5] },
    -1,
  ],
  leaves: 2 * K,
  vectors: 'vectors',
};
const clusterSteps: TaskOf<'cluster-steps'> = {
  ...{ task: 'cluster-steps', ...steps },
  ...{ form: 'product', diagonal: false },
};

/** A new task needs an entry here: without, this does not compile. */
export const CASES: { [N in TaskName]: TaskOf<N>[] } = {
  moments: [{ task: 'moments', normalize: false, diagonal: false, sample: 0.6, sends: true }],
  'column-histogram': [{ task: 'column-histogram', sample: 0.6, bins: 256 }],
  'fenced-moments': [{ task: 'fenced-moments', sample: 0.6, diagonal: true }],
  'seed-distances': [{ task: 'seed-distances', centres: 2, draw: 1 }],
  statistics: [
    { task: 'statistics', diagonal: false, block: 64 },
    { task: 'statistics', diagonal: true, block: 4096 },
  ],
  'pivoted-statistics': [
    { task: 'pivoted-statistics', diagonal: false, least: 0.01 },
    { task: 'pivoted-statistics', diagonal: true, least: 0 },
    { task: 'pivoted-statistics', diagonal: false, least: 0, byMixture: true },
  ],
  'sample-labels': [
    { task: 'sample-labels', every: 2 },
    { task: 'sample-labels', every: 2, byMixture: true, draw: 3 },
  ],
  'cluster-steps': [
    clusterSteps,
    { ...clusterSteps, average: 'gradients' },
    { ...clusterSteps, form: 'cholesky' },
    { ...clusterSteps, field: { coupling: 2, resolution: 1 } },
  ],
  'sub-steps': [
    { task: 'sub-steps', ...steps },
    { task: 'sub-steps', ...steps, byMixture: true },
  ],
  'sub-statistics': [{ task: 'sub-statistics', diagonal: false }],
  'cell-sums': [
    { task: 'cell-sums', ...cells },
    { task: 'cell-sums', ...cells, byMixture: true },
  ],
  'cell-scatter': [{ task: 'cell-scatter', ...cells, diagonal: false, pivots: 'pivots0' }],
  'cell-histogram': [{ task: 'cell-histogram', ...cells, axes: 'axes', bins: 32 }],
  'cell-fourth-moments': [{ task: 'cell-fourth-moments', ...cells, whitening: 'whitening' }],
  'sample-covariance': [
    { task: 'sample-covariance', unit: true, every: 2, sketch: 0 },
    { task: 'sample-covariance', unit: false, every: 1, sketch: 8 },
  ],
  'sample-rows': [{ task: 'sample-rows' }, { task: 'sample-rows', every: 3 }],
  neighbours: [{ task: 'neighbours', k: 5 }],
  partitions: [{ task: 'partitions', resolutions: [0.5, 2], replicates: 2, share: 0.6 }],
  'null-partitions': [
    {
      ...{ task: 'null-partitions', variances: [3, 2, 1], rows: 60, neighbours: 5 },
      ...{ resolutions: [1, 4], replicates: 2, share: 0.6 },
    },
  ],
  'start-partition': [{ task: 'start-partition', resolution: 1 }],
  memberships: [{ task: 'memberships' }],
  'encoder-steps': [
    {
      ...{ task: 'encoder-steps', epoch: 1, batch: 8, rate: 0.01, noise: 0.1 },
      ...{ done: 0, length: 1, total: 4, steps: 0, pull: 0 },
    },
  ],
  encode: [{ task: 'encode' }],
  'full-pass': [
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.1, far: 0 },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.1, far: 8 },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.1, far: 0, byMixture: true },
    { task: 'full-pass', diagonal: false, soft: true, silhouette: 0.1, far: 0, map: true },
  ],
  terms: [{ task: 'terms', k: K, languages: ['en'], icu: process.versions.icu ?? '' }],
};

export const EVERY_TASK: Task[] = Object.values(CASES).flat();
/** The first case of a task. */
export const caseOf = <N extends TaskName>(name: N) => CASES[name][0] as TaskOf<N>;

/** Of a shard: all of its blocks, or none for tasks on the sample. */
export const unitFor = ({ task }: Task, shard: number): WorkUnit =>
  ENTRIES[task].rows === 'blocks' ? w.unit(shard) : { shard, from: 0, to: 0 };

/** The states of the world, with some of them changed. */
export function statesWith(change: Record<string, Tensors> = {}): States {
  const states = createStates(cpuBackend());
  for (const [name, tensors] of Object.entries({ ...STATES, ...change })) states.put(name, 1, tensors);
  return states;
}

/** Checks a task as workers do before any work. Throws Mismatch. */
export function checkTask(task: Task, states: States, layout: Layout = w.layout): void {
  const units = range(layout.shards).map((shard) => ({ ...unitFor(task, shard), from: 0 }));
  TASKS.checkRound(layout, (name) => states.get(name), { tasks: [task], units, sum: false });
}
