// Shared by the tests of the protocol: messages of every type.
import type { FromCoordinator, FromWorker } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';

type ByKey<U, K extends keyof U> = { [N in U[K] & string]: Extract<U, Record<K, N>>[] };

const cells = {
  groups: 'net' as const,
  cells: [
    -1,
    3,
    { near: [0, 1], into: [0, { axis: 2, at: -0.5, into: [1, 2] }] },
    { linear: [2, 0], offsets: [0.25, -1e9], into: [1, -1] },
  ],
  leaves: 4,
  vectors: 'vectors',
};
const steps = { epoch: 12, steps: 10, batch: 128, rate: 0.01, done: 70, average: 'weights' as const };

const field = { coupling: 2, resolution: 2 ** -0.5 };

export const TASKS: ByKey<Task, 'task'> = {
  moments: [{ task: 'moments', normalize: false, diagonal: true, sample: 0.25 }],
  'column-histogram': [{ task: 'column-histogram', sample: 0.25, bins: 256 }],
  'fenced-moments': [{ task: 'fenced-moments', sample: 1, diagonal: true }],
  'seed-distances': [{ task: 'seed-distances', centres: 2, draw: 3 }],
  'cluster-steps': [
    { task: 'cluster-steps', ...steps, loss: 'kl', form: 'product', diagonal: false },
    { task: 'cluster-steps', ...steps, loss: 'diag', form: 'cholesky', diagonal: true, average: 'gradients' },
    { task: 'cluster-steps', ...steps, loss: 'kl', form: 'product', diagonal: true, field },
  ],
  statistics: [{ task: 'statistics', diagonal: false, block: 4096 }],
  'pivoted-statistics': [{ task: 'pivoted-statistics', diagonal: false, least: 0 }],
  'sub-steps': [{ task: 'sub-steps', ...steps, loss: 'isotropic' }],
  'sample-labels': [{ task: 'sample-labels', every: 2 }],
  'cell-sums': [{ task: 'cell-sums', ...cells }],
  'cell-scatter': [{ task: 'cell-scatter', ...cells, diagonal: false, pivots: 'pivots0' }],
  'cell-histogram': [{ task: 'cell-histogram', ...cells, groups: 'all', axes: 'axes', bins: 256 }],
  'cell-fourth-moments': [{ task: 'cell-fourth-moments', ...cells, whitening: 'whitening' }],
  'sample-covariance': [{ task: 'sample-covariance', unit: true, every: 2, sketch: 0 }],
  'sample-rows': [{ task: 'sample-rows' }],
  neighbours: [{ task: 'neighbours', k: 20 }],
  partitions: [{ task: 'partitions', resolutions: [0.25, 2 ** -1.5, 1], replicates: 12, share: 0.6 }],
  'null-partitions': [
    {
      ...{ task: 'null-partitions', variances: Array(17).fill(1), rows: 2500, neighbours: 20 },
      ...{ resolutions: [0.25, 8], replicates: 4, share: 0.6 },
    },
  ],
  'start-partition': [{ task: 'start-partition', resolution: 2 ** 0.5 }],
  memberships: [{ task: 'memberships' }],
  'encoder-steps': [
    {
      ...{ task: 'encoder-steps', epoch: 3, batch: 256, rate: 0.001, pull: 0, noise: 0.1 },
      ...{ done: 2.75, length: 0.25, total: 12, steps: 340 },
    },
  ],
  encode: [{ task: 'encode' }],
  'full-pass': [{ task: 'full-pass', diagonal: false, soft: true, silhouette: 0.02 }],
};

const unit = { shard: 3, from: 0, to: 17 };

export const FROM_WORKER: ByKey<FromWorker, 'type'> = {
  hello: [
    {
      type: 'hello',
      protocol: 1,
      identity: 'wasm/4.22.0',
      backend: 'wasm',
      host: 'b7',
      pid: 2 ** 22,
      name: 'größe',
      session: 'f0'.repeat(16),
    },
    {
      type: 'hello',
      protocol: 1,
      identity: 'tensorflow/2.21.0 sm_90',
      backend: 'tensorflow',
      host: 'b7',
      pid: 7,
      name: 'b7/gpu0',
      session: '0f'.repeat(16),
      gpu: 'NVIDIA H100',
    },
  ],
  results: [
    {
      type: 'results',
      term: 2 ** 46,
      round: 2 ** 33,
      done: [
        [unit],
        [
          { shard: 0, from: 0, to: 0 },
          { shard: 1, from: 0, to: 0 },
        ],
      ],
      seconds: { 'cell-sums': 0.25, 'full-pass': 0 },
      rowsRead: 5e9,
      memory: 6e9,
    },
    {
      type: 'results',
      term: 1,
      round: 1,
      done: [[unit]],
      seconds: {},
      rowsRead: 0,
      memory: 1,
      gpuMemory: { used: 3e9, limit: 8e10 },
    },
  ],
  failure: [{ type: 'failure', term: 7, round: 1, unit, mistake: true, message: 'rows.npy is truncated' }],
  fetch: [{ type: 'fetch', request: 0, blocks: [0, 7, 65535, 2 ** 32] }],
  ping: [{ type: 'ping' }],
  bye: [{ type: 'bye' }],
};

const layout = { rows: 70_000, dim: 10, shards: 8, blockRows: 16, seed: '18446744073709551615' };

export const FROM_COORDINATOR: ByKey<FromCoordinator, 'type'> = {
  welcome: [
    {
      type: 'welcome',
      worker: 'w1',
      term: 7,
      file: { path: '/data/x.npy', firstBlock: 'ab'.repeat(16) },
      layout,
    },
    {
      type: 'welcome',
      worker: 'w1',
      term: 7,
      file: { path: '/data/x.npz', array: 'x', firstBlock: 'ab'.repeat(16) },
      layout,
    },
    { type: 'welcome', worker: 'w1', term: 7, file: null, layout },
  ],
  refuse: [{ type: 'refuse', reason: 'malformed message' }],
  who: [{ type: 'who' }],
  pong: [{ type: 'pong' }],
  round: Object.values(TASKS).map((tasks) => ({
    type: 'round',
    term: 7,
    round: 9,
    tasks,
    units: [unit, { shard: 4, from: 0, to: 0 }],
    sum: true,
    uses: [
      { name: 'net', version: 4 },
      { name: 'vectors', version: 2 ** 40 },
    ],
    states: [{ name: 'vectors', version: 2 ** 40 }],
  })),
  rows: [
    { type: 'rows', request: 3, blocks: [1, 2] },
    { type: 'rows', request: 3, blocks: [99], problem: 'there is no such block' },
  ],
  stop: [{ type: 'stop' }],
};
