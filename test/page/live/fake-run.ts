// A run without processes that exports metrics, for tests.

import { noCounts } from '../../../coordinator/rounds/accounting.ts';
import type { MemberView } from '../../../coordinator/rounds/registry.ts';
import { createCounters } from '../../../page/live/counters.ts';
import type { MetricSources } from '../../../page/live/prometheus.ts';

export const K = 3;

/** The metrics of a run in which every event has happened once. `advance` moves its clock. */
export function fakeRun(
  options: { workers?: number; k?: number } = {},
): MetricSources & { advance(ms: number): void } {
  const { workers = 2, k = K } = options;
  let clock = 0;
  let unix = 1_700_000_000_000;
  const counters = createCounters(() => (unix += 1000), clock);
  const done = [[{ shard: 0, from: 0, to: 0 }], [{ shard: 1, from: 0, to: 0 }]];
  const members = Array.from({ length: workers }, (_, i): MemberView => {
    const label = `host${i >> 3}/gpu${i & 7}`;
    const header = { type: 'results' as const, term: 1, round: 1, done, seconds: {}, rowsRead: 0, memory: 0 };
    const tasks = ['moments', 'cluster-steps', 'statistics', 'sub-steps', 'cell-sums', 'cell-scatter'];
    counters.results(
      label,
      header,
      tasks.map((task, j) => [task, 0.5 + i / 7 + j / 3]),
    );
    return {
      ...{
        worker: `w${i + 1}`,
        label,
        host: `host${i >> 3}`,
        backend: 'tensorflow',
        version: null,
        gpu: 'NVIDIA H100 80GB HBM3',
        size: 1,
        relays: [],
      },
      ...{ state: i === 1 ? ('gone' as const) : ('up' as const), joins: 1, memory: 2e9 + i },
      gpuMemory: { used: 3e9 + i, limit: 8e10 },
    };
  });
  counters.roundEnded(3000);
  const gone = { type: 'worker-gone' as const, worker: 'w2', pid: 1, host: 'a-host', tasks: [] };
  counters.event({ ...gone, how: 'killed', reason: 'killed by SIGKILL' });
  counters.event({ ...gone, how: 'cut', reason: 'the list of keys has changed' });
  const proposal = { type: 'split' as const, epoch: 6, points: [1, 2] };
  counters.event({ ...proposal, clusters: [0], logRatio: -4, accepted: false });
  counters.event({ ...proposal, clusters: [1], logRatio: 7, accepted: true });
  const spent = { seconds: {}, workers: {} };
  counters.event({
    ...{ type: 'encoder-epoch', epoch: 3, of: 12, loss: 0.25, wall: 4, bytes: 1e6 },
    ...spent,
  });
  counters.event({ type: 'epoch', epoch: 6, k, width: k, loss: 0.5, subLoss: 0.25, ...spent });
  counters.event({ type: 'epoch', epoch: 7, k, width: k, loss: null, subLoss: null, ...spent });
  counters.event({ type: 'checkpoint', epoch: 7, bytes: 1234, seconds: 0.5 });
  counters.event({
    ...{ type: 'drift', update: 2, rows: 500, nats: 0.25, likelihoodZ: 5 },
    ...{ unlike: 0.125, unlikeZ: 9, moved: 0.0625, movedZ: -1, alarms: ['unlike', 'less likely'] },
  });
  for (const id of [4, 5]) counters.event({ type: 'lineage', what: 'born', id });
  counters.event({ type: 'lineage', what: 'merged', id: 1, into: [0] });
  const weights = Float64Array.from({ length: k }, () => 1 / k);
  return {
    advance: (ms) => {
      clock += ms;
    },
    now: () => clock,
    name: 'a "run"',
    id: '0a1b2c3d',
    versions: { dpmesh: '0.1.0' },
    layout: { rows: 5000 },
    config: { maxEpochs: 200, schedule: 'fast' },
    recorder: {
      status: () => 'running',
      snapshot: () =>
        ({ state: { mixture: { k, weights }, graph: { stability: 0.86, range: [15, 19] } } }) as never,
      run: () => ({ sampleRows: 900 }) as never,
    },
    counters,
    server: {
      identity: () => 'wasm/4.22.0',
      members: () => members,
      counts: () => ({ ...noCounts(), messagesMalformed: 4, resultsLate: 2, unitsReassigned: 3 }),
      refused: () => ({ 'no-key': 5 }),
      traffic: () => ({ received: 10, sent: 20 }),
    },
    streamClients: () => 1,
  };
}
