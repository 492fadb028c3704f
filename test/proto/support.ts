// Shared by the tests of the protocol: messages of every type.
import { type FromCoordinator, type FromWorker, fromCoordinator as withTasks } from '../../proto/messages.ts';
import { TASKS } from '../../tasks/table.ts';
import { CASES } from '../worker/task-cases.ts';

/** The schema of messages to workers that compute our tasks. */
export const fromCoordinator = withTasks(TASKS.schema);

type ByKey<U, K extends keyof U> = { [N in U[K] & string]: Extract<U, Record<K, N>>[] };

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
    {
      ...{ type: 'hello', protocol: 1, identity: 'wasm/4.22.0', backend: 'wasm', host: 'b7', pid: 7 },
      ...{ name: 'relay', session: '0e'.repeat(16), workers: 65536, relays: ['0e'.repeat(16)] },
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
  workers: [{ type: 'workers', workers: 32 }],
  failure: [{ type: 'failure', term: 7, round: 1, unit, mistake: true, message: 'rows.npy is truncated' }],
  ready: [{ type: 'ready', term: 1, bytes: 2 ** 21, first: 0 }],
  fetch: [
    { type: 'fetch', request: 0, blocks: [0, 7, 65535, 2 ** 32] },
    { type: 'fetch', request: 1, blocks: [3], texts: true },
  ],
  sees: [{ type: 'sees' }, { type: 'sees', problem: 'no such file' }],
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
  folder: [{ type: 'folder', path: '/runs/x/labels', token: 'ab'.repeat(16) }],
  refuse: [{ type: 'refuse', reason: 'malformed message' }],
  who: [{ type: 'who' }],
  pong: [{ type: 'pong' }],
  round: Object.values(CASES).map((tasks) => ({
    type: 'round',
    term: 7,
    round: 9,
    tasks,
    units: [unit, { shard: 4, from: 0, to: 0 }],
    ...{ sum: true, streams: true, sampled: [90, 2 ** 33] },
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
  send: [{ type: 'send' }],
  stop: [{ type: 'stop' }],
};
