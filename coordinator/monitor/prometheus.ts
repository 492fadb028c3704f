import { collectDefaultMetrics, Registry } from 'prom-client';
import { softCounts } from '../../model/mixture.ts';
import { REJECTION_REASONS, type RejectionReason } from '../../proto/authenticator.ts';
import { STATUSES } from '../../view/api.ts';
import { DEPARTURES } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { MemberView } from '../scheduler/registry.ts';
import type { Server } from '../scheduler/server.ts';
import type { Counters } from './counters.ts';
import { createFamilies, type Families, type Row, round } from './metric-families.ts';
import type { Recorder } from './recorder.ts';

/** What is measured: all of it is read when somebody asks, and nothing before. */
export interface Measured {
  /** The label `run` of all metrics: the name of the run directory. */
  name: string;
  version: string;
  rows: number;
  config: Pick<RunConfig, 'maxEpochs' | 'weightSmoothing'>;
  recorder: Pick<Recorder, 'status' | 'newest' | 'run'>;
  counters: Counters;
  server: Pick<Server, 'identity' | 'members' | 'counts' | 'refused' | 'traffic'>;
  streamClients(): number;
  /** ms, steady. */
  now?: () => number;
}

/** Clusters that have series of their own. */
const MOST_CLUSTERS = 200;
/** With more workers than this, a worker's tasks are added up, so that the answer stays below a megabyte. */
const MOST_WITH_TASKS = 200;
/** A busy share is of this long at least, ms: a second scraper right behind the first sees the same. */
const SHORTEST_MS = 500;
/** Why connections come to nothing. */
const CONNECTIONS = Object.keys(REJECTION_REASONS) as RejectionReason[];
/** Of prom-client's own, gauges whose names end as only counters' may. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** The registry of one run; docs/monitoring.md lists its metrics. */
export function createMetrics(measured: Measured): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ run: measured.name });
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);

  const families = createFamilies(registry);
  addRunMetrics(families, measured);
  addClusterMetrics(families, measured);
  addRoundMetrics(families, measured);
  addWorkerMetrics(families, measured);
  addTrafficMetrics(families, measured);
  addCheckpointMetrics(families, measured);
  families.one(
    'gauge',
    'event_stream_clients',
    'Pages and other clients that follow the run.',
    measured.streamClients,
  );
  return registry;
}

/** The state of the run, and its epochs. */
function addRunMetrics({ add, one, each }: Families, measured: Measured): void {
  const { recorder, counters, server, config } = measured;
  add(
    'gauge',
    'build_info',
    'Always 1; version of dpmesh and Node.js, numeric identity of the run.',
    ['version', 'node', 'identity'],
    () => [[{ version: measured.version, node: process.version, identity: server.identity() ?? '' }, 1]],
  );
  each('gauge', 'run_state', '1 for the state that the run is in, 0 for the others.', 'state', () =>
    STATUSES.map((state) => [state, Number(state === recorder.status())] as const),
  );

  const { epochs } = counters;
  one('gauge', 'clusters', 'Clusters, K.', () => epochs.k ?? recorder.newest()?.state.mixture.k ?? null);
  one('gauge', 'epoch', 'The last epoch that is over.', () => epochs.last);
  one('gauge', 'max_epochs', 'Epochs at the most (--max-epochs).', () => config.maxEpochs);
  one('counter', 'epochs_total', 'Epochs that this process has been through.', () => epochs.count);
  one(
    'gauge',
    'epoch_timestamp_seconds',
    'Unix time at which the last epoch ended.',
    () => epochs.at && epochs.at / 1000,
  );
  one('gauge', 'rows', 'Rows of the data.', () => measured.rows);
  one('gauge', 'sample_rows', 'Rows that are trained on.', () => recorder.run()?.sampleRows ?? null);
  one(
    'gauge',
    'clustering_loss',
    'Loss of the clustering net in the last epoch that trained it.',
    () => epochs.loss,
  );
  one(
    'gauge',
    'subclustering_loss',
    'Loss of the sub-clustering nets in the last epoch that trained them.',
    () => epochs.subLoss,
  );
}

/** Clusters, and the proposals to split and merge them. */
function addClusterMetrics({ add, each }: Families, { recorder, counters, config }: Measured): void {
  const weights = () => [...(recorder.newest()?.state.mixture.weights ?? [])];
  each(
    'gauge',
    'cluster_weight',
    `Share of each cluster; the first ${MOST_CLUSTERS} clusters.`,
    'cluster',
    () =>
      weights()
        .slice(0, MOST_CLUSTERS)
        .map((weight, k) => [String(k), weight] as const),
  );
  each(
    'gauge',
    'cluster_rows',
    `Rows of the sample in each cluster, by soft count; the first ${MOST_CLUSTERS} clusters.`,
    'cluster',
    () =>
      softCounts(weights(), recorder.run()?.sampleRows ?? 0, config.weightSmoothing)
        .slice(0, MOST_CLUSTERS)
        .map((rows, k) => [String(k), rows] as const),
  );
  add('counter', 'proposals_total', 'Splits and merges that were proposed.', ['kind', 'outcome'], () =>
    (['split', 'merge'] as const).flatMap((kind) =>
      (['accepted', 'refused'] as const).map((outcome): Row => [{ kind, outcome }, counters[kind][outcome]]),
    ),
  );
  each(
    'gauge',
    'best_log_ratio',
    'Log of the best Hastings ratio in the last split or merge step.',
    'kind',
    () =>
      (['split', 'merge'] as const).flatMap((kind) => {
        const { best } = counters[kind];
        return best === null ? [] : [[kind, best] as const];
      }),
  );
}

function addRoundMetrics({ one, histogram }: Families, { counters }: Measured): void {
  one(
    'counter',
    'rounds_total',
    'Rounds that are over: questions that all shards have answered.',
    () => counters.rounds.count,
  );
  histogram('round_seconds', 'Seconds from the start of a round to its last result.', () => [
    [{}, counters.rounds],
  ]);
  histogram('task_seconds', 'Seconds of computing for one unit (mostly a shard), by task.', () =>
    Array.from(counters.tasks, ([task, found]) => [{ task }, found]),
  );
}

/** Who computes. */
function addWorkerMetrics({ add, each }: Families, measured: Measured): void {
  const { counters, server, now = () => performance.now() } = measured;
  const present = () => server.members().filter(({ state }) => state !== 'gone');
  add(
    'counter',
    'worker_task_seconds_total',
    `Seconds of computing by worker and task; task="all" for all together where there are more than ${MOST_WITH_TASKS} workers.`,
    ['worker', 'task'],
    () => {
      const all = [...counters.workers];
      if (all.length > MOST_WITH_TASKS)
        return all.map(([worker, tasks]): Row => [{ worker, task: 'all' }, round(total(tasks))]);
      return all.flatMap(([worker, tasks]) =>
        Array.from(tasks, ([task, seconds]): Row => [{ worker, task }, round(seconds)]),
      );
    },
  );
  const busy = busyShares(counters, now);
  each(
    'gauge',
    'worker_busy_ratio',
    'Share of the time since the scrape before in which the worker computed, 0 to 1; in the first one since the run began.',
    'worker',
    () => {
      const shares = busy();
      return present().map(({ label }) => [label, round(shares(label))] as const);
    },
  );
  each('gauge', 'worker_memory_bytes', 'Resident memory of the worker.', 'worker', () =>
    present().flatMap(({ label, memory }) => (memory ? [[label, memory] as const] : [])),
  );
  add(
    'gauge',
    'worker_info',
    'Always 1; where the worker is and what computes there; gpu is empty for the processor.',
    ['worker', 'host', 'backend', 'gpu'],
    () =>
      present().map(
        ({ label, host, backend, gpu }): Row => [
          { worker: label, host: short(host), backend: short(backend), gpu: short(gpu ?? '') },
          1,
        ],
      ),
  );
  const ofGpus = (
    name: string,
    help: string,
    read: (memory: NonNullable<MemberView['gpuMemory']>) => number,
  ) =>
    each('gauge', name, help, 'worker', () =>
      present().flatMap(({ label, gpuMemory }) => (gpuMemory ? [[label, read(gpuMemory)] as const] : [])),
    );
  ofGpus('worker_gpu_memory_bytes', 'Memory of the GPU that the worker has taken.', ({ used }) => used);
  ofGpus(
    'worker_gpu_memory_limit_bytes',
    'Memory of the GPU that the worker may take.',
    ({ limit }) => limit,
  );
  each(
    'gauge',
    'workers',
    'Workers that are here, that fell silent, and that are gone and were not replaced.',
    'state',
    () => {
      const counts = { up: 0, silent: 0, gone: 0 };
      for (const { state } of server.members()) counts[state]++;
      return Object.entries(counts);
    },
  );
  each(
    'counter',
    'worker_joins_total',
    'Times that the worker has joined; more than 1: it came back, or was replaced.',
    'worker',
    () => server.members().map(({ label, joins }) => [label, joins] as const),
  );
  each('counter', 'worker_departures_total', 'Workers that left, by how.', 'reason', () =>
    DEPARTURES.map((reason) => [reason, counters.departures[reason]] as const),
  );
}

/** What comes and goes between coordinator and workers. */
function addTrafficMetrics({ one, each }: Families, { server }: Measured): void {
  one(
    'counter',
    'units_redealt_total',
    'Units that were dealt again, as their worker had left.',
    () => server.counts().unitsReassigned,
  );
  one(
    'counter',
    'units_raced_total',
    'Units of slow workers that were given to idle ones too.',
    () => server.counts().unitsRaced,
  );
  each('counter', 'results_dropped_total', 'Results that did not count, by why.', 'reason', () => {
    const counts = server.counts();
    return [
      ['late', counts.resultsLate],
      ['not_asked_for', counts.resultsNotAskedFor],
      ['wrong_shape', counts.resultsWrongShape],
      ['another_term', counts.resultsOfAnotherTerm],
    ];
  });
  each('counter', 'refused_messages_total', 'Messages that were refused, by why.', 'reason', () => {
    const counts = server.counts();
    return [
      ['malformed', counts.messagesMalformed],
      ['ignored', counts.messagesIgnored + counts.hellosIgnored],
      ['hello', counts.hellosRefused],
      ['fetch', counts.fetchesRefused],
    ];
  });
  each(
    'counter',
    'refused_connections_total',
    'Connections that came to nothing, by why (0 without keys).',
    'reason',
    () => {
      const found = server.refused();
      return CONNECTIONS.map((reason) => [reason.replaceAll('-', '_'), found[reason] ?? 0] as const);
    },
  );
  one(
    'counter',
    'received_bytes_total',
    'Bytes of messages from workers, without what ZeroMQ adds.',
    () => server.traffic().received,
  );
  one(
    'counter',
    'sent_bytes_total',
    'Bytes of messages to workers, without what ZeroMQ adds.',
    () => server.traffic().sent,
  );
}

function addCheckpointMetrics({ one }: Families, { counters: { checkpoints } }: Measured): void {
  const written = (read: () => number) => () => (checkpoints.written ? read() : null);
  one('counter', 'checkpoints_total', 'Checkpoints that were written.', () => checkpoints.written);
  one(
    'counter',
    'checkpoint_failures_total',
    'Checkpoints that could not be written.',
    () => checkpoints.failed,
  );
  one(
    'gauge',
    'checkpoint_timestamp_seconds',
    'Unix time of the last checkpoint.',
    () => checkpoints.at && checkpoints.at / 1000,
  );
  one(
    'gauge',
    'checkpoint_bytes',
    'Size of the last checkpoint.',
    written(() => checkpoints.bytes),
  );
  one(
    'gauge',
    'checkpoint_seconds',
    'Seconds that the last checkpoint took, beside the epochs.',
    written(() => checkpoints.seconds),
  );
}

/** What workers say of themselves is cut to this. */
const short = (text: string) => text.slice(0, 100);

function total(tasks: Map<string, number>): number {
  let sum = 0;
  for (const seconds of tasks.values()) sum += seconds;
  return sum;
}

/** Each worker's share of the time since the last call that counted. */
function busyShares(counters: Counters, now: () => number): () => (label: string) => number {
  let since = counters.begun;
  let seconds = new Map<string, number>();
  let shares = new Map<string, number>();
  return () => {
    const took = (now() - since) / 1000;
    if (took * 1000 >= SHORTEST_MS || !shares.size) {
      const next = new Map(Array.from(counters.workers, ([label, tasks]) => [label, total(tasks)]));
      shares = new Map(
        Array.from(next, ([label, spent]) => [
          label,
          Math.min(1, Math.max(0, spent - (seconds.get(label) ?? 0)) / Math.max(took, 1e-3)),
        ]),
      );
      [since, seconds] = [now(), next];
    }
    return (label) => shares.get(label) ?? 0;
  };
}
