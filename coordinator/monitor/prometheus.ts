import { Registry } from 'prom-client';
import { addProcessMetrics } from '../../base/process-metrics.ts';
import { softCounts } from '../../model/mixture.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { REJECTION_REASONS, type RejectionReason } from '../../proto/authenticator.ts';
import { STATUSES } from '../../view/api.ts';
import { DEPARTURES } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { MemberView } from '../scheduler/registry.ts';
import type { Server } from '../scheduler/server.ts';
import type { Counters } from './counters.ts';
import { createFamilies, type Families, round, type SeriesValue } from './metric-families.ts';
import type { Recorder } from './recorder.ts';

/** Where the metrics are read from, at each scrape. */
export interface MetricSources {
  /** The label `run` of all metrics: the name of the run directory. */
  name: string;
  /** The label `run_id`: that of run.json. */
  id: string;
  version: string;
  rows: number;
  config: Pick<RunConfig, 'maxEpochs' | 'schedule'>;
  recorder: Pick<Recorder, 'status' | 'snapshot' | 'run'>;
  counters: Counters;
  server: Pick<Server, 'identity' | 'members' | 'counts' | 'refused' | 'traffic'>;
  streamClients(): number;
  /** Monotonic clock, ms. */
  now?: () => number;
}

/** Clusters with a time series each. */
const MAX_CLUSTERS = 200;
/** With more workers than this, a worker's tasks are summed, so that the response stays below a megabyte. */
const MAX_WORKERS_BY_TASK = 200;
/** Shortest interval for which busy ratios are computed, ms: a second scraper right after the first gets the same values. */
const MIN_INTERVAL_MS = 500;
const CONNECTION_FAILURES = Object.keys(REJECTION_REASONS) as RejectionReason[];

/** The registry of one run; docs/monitoring.md lists its metrics. */
export function createMetrics(sources: MetricSources): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ run: sources.name, run_id: sources.id });
  addProcessMetrics(registry);

  const families = createFamilies(registry);
  addRunMetrics(families, sources);
  addClusterMetrics(families, sources);
  addEncoderMetrics(families, sources);
  addRoundMetrics(families, sources);
  addWorkerMetrics(families, sources);
  addTrafficMetrics(families, sources);
  addCheckpointMetrics(families, sources);
  families.addScalar(
    'gauge',
    'event_stream_clients',
    'Clients connected to the event stream.',
    sources.streamClients,
  );
  return registry;
}

/** Status of the run, and its epochs. */
function addRunMetrics({ add, addScalar, addByLabel }: Families, sources: MetricSources): void {
  const { recorder, counters, server, config } = sources;
  add(
    'gauge',
    'build_info',
    'Always 1. Labels: version of dpmesh, version of Node.js, numeric identity of the run.',
    ['version', 'node', 'identity'],
    () => [[{ version: sources.version, node: process.version, identity: server.identity() ?? '' }, 1]],
  );
  addByLabel(
    'gauge',
    'run_state',
    '1 for the current state of the run, 0 for all other states.',
    'state',
    () => STATUSES.map((state) => [state, Number(state === recorder.status())] as const),
  );

  const { epochs } = counters;
  addScalar(
    'gauge',
    'clusters',
    'Current number of clusters, K.',
    () => epochs.k ?? recorder.snapshot()?.state.mixture.k ?? null,
  );
  addScalar('gauge', 'epoch', 'Last completed epoch.', () => epochs.last);
  addScalar('gauge', 'max_epochs', 'Maximum number of epochs (--max-epochs).', () => config.maxEpochs);
  addScalar('counter', 'epochs_total', 'Epochs completed by this process.', () => epochs.count);
  addScalar(
    'gauge',
    'epoch_timestamp_seconds',
    'Unix time at which the last epoch ended, in seconds.',
    () => epochs.at && epochs.at / 1000,
  );
  addScalar('gauge', 'rows', 'Number of rows in the data.', () => sources.rows);
  addScalar(
    'gauge',
    'sample_rows',
    'Number of rows in the training sample.',
    () => recorder.run()?.sampleRows ?? null,
  );
  addScalar(
    'gauge',
    'clustering_loss',
    'Loss of the clustering net in the last epoch that trained it.',
    () => epochs.loss,
  );
  addScalar(
    'gauge',
    'subclustering_loss',
    'Loss of the sub-clustering nets in the last epoch that trained them.',
    () => epochs.subLoss,
  );
}

/** The training of an encoder, if the run has one. */
function addEncoderMetrics({ addScalar }: Families, { counters, rows }: MetricSources): void {
  const of = () => counters.encoder;
  addScalar('gauge', 'encoder_epoch', 'Epochs of the encoder that are complete.', () => of()?.epoch ?? null);
  addScalar(
    'gauge',
    'encoder_max_epochs',
    'Epochs that the encoder trains for (--encoder-epochs).',
    () => of()?.of ?? null,
  );
  addScalar(
    'gauge',
    'encoder_loss',
    'Loss in the last epoch of the encoder: its error, as a share of the variance of its inputs.',
    () => of()?.loss ?? null,
  );
  addScalar(
    'gauge',
    'encoder_epoch_seconds',
    'Duration of the last epoch of the encoder, in seconds.',
    () => of()?.wall ?? null,
  );
  addScalar(
    'gauge',
    'encoder_bytes_per_row',
    'Bytes to and from all workers in the last epoch of the encoder, for each row.',
    () => {
      const last = of();
      return last && last.bytes / rows;
    },
  );
}

/** Clusters, and the proposals to split and merge them. */
function addClusterMetrics(
  { add, addScalar, addByLabel }: Families,
  { recorder, counters, config }: MetricSources,
): void {
  const graph = () => recorder.snapshot()?.state.graph;
  addScalar(
    'gauge',
    'partition_agreement',
    'Graph likelihood: mean adjusted Rand index of partitions of random shares of the sample, at the resolution of the run.',
    () => graph()?.stability ?? null,
  );
  addByLabel(
    'gauge',
    'partition_clusters',
    'Graph likelihood: the least and the largest number of clusters in these partitions.',
    'bound',
    () => (graph()?.range ?? []).map((k, i) => [i ? 'most' : 'least', k] as const),
  );
  const weights = () => [...(recorder.snapshot()?.state.mixture.weights ?? [])];
  addByLabel(
    'gauge',
    'cluster_weight',
    `Mixture weight of the cluster, 0 to 1. First ${MAX_CLUSTERS} clusters only.`,
    'cluster',
    () =>
      weights()
        .slice(0, MAX_CLUSTERS)
        .map((weight, k) => [String(k), weight] as const),
  );
  addByLabel(
    'gauge',
    'cluster_rows',
    `Soft count of sample rows in the cluster. First ${MAX_CLUSTERS} clusters only.`,
    'cluster',
    () =>
      softCounts(weights(), recorder.run()?.sampleRows ?? 0, weightSmoothing(config.schedule))
        .slice(0, MAX_CLUSTERS)
        .map((rows, k) => [String(k), rows] as const),
  );
  add(
    'counter',
    'proposals_total',
    'Proposed splits and merges, by kind and outcome.',
    ['kind', 'outcome'],
    () =>
      (['split', 'merge'] as const).flatMap((kind) =>
        (['accepted', 'refused'] as const).map(
          (outcome): SeriesValue => [{ kind, outcome }, counters[kind][outcome]],
        ),
      ),
  );
  addByLabel(
    'gauge',
    'best_log_ratio',
    'Largest log Hastings ratio in the last split or merge step.',
    'kind',
    () =>
      (['split', 'merge'] as const).flatMap((kind) => {
        const { best } = counters[kind];
        return best === null ? [] : [[kind, best] as const];
      }),
  );
}

function addRoundMetrics({ addScalar, addHistogram }: Families, { counters }: MetricSources): void {
  addScalar(
    'counter',
    'rounds_total',
    'Completed rounds, in which every shard has returned its result.',
    () => counters.rounds.count,
  );
  addScalar(
    'counter',
    'units_total',
    'Units of work whose results were accepted, of all tasks of a run: while it gets on, this grows.',
    () => counters.units,
  );
  addHistogram('round_seconds', 'Duration of a round from its start to its last result, in seconds.', () => [
    [{}, counters.rounds],
  ]);
  addHistogram('task_seconds', 'Compute time per unit (usually a shard), by task, in seconds.', () =>
    Array.from(counters.tasks, ([task, histogram]) => [{ task }, histogram]),
  );
}

function addWorkerMetrics({ add, addByLabel }: Families, sources: MetricSources): void {
  const { counters, server, now = () => performance.now() } = sources;
  const present = () => server.members().filter(({ state }) => state !== 'gone');
  add(
    'counter',
    'worker_task_seconds_total',
    `Compute time by worker and task, in seconds. With more than ${MAX_WORKERS_BY_TASK} workers, task="all" is the sum over tasks.`,
    ['worker', 'task'],
    () => {
      const all = [...counters.workers];
      if (all.length > MAX_WORKERS_BY_TASK)
        return all.map(([worker, tasks]): SeriesValue => [{ worker, task: 'all' }, round(total(tasks))]);
      return all.flatMap(([worker, tasks]) =>
        Array.from(tasks, ([task, seconds]): SeriesValue => [{ worker, task }, round(seconds)]),
      );
    },
  );
  const busyRatios = busyRatiosSinceLastCall(counters, now);
  addByLabel(
    'gauge',
    'worker_busy_ratio',
    'Fraction of the time since the previous scrape that the worker spent computing, 0 to 1. First scrape: since the start of the run.',
    'worker',
    () => {
      const ratioOf = busyRatios();
      return present().map(({ label }) => [label, round(ratioOf(label))] as const);
    },
  );
  addByLabel(
    'gauge',
    'worker_memory_bytes',
    'Resident memory of the worker process, in bytes.',
    'worker',
    () => present().flatMap(({ label, memory }) => (memory ? [[label, memory] as const] : [])),
  );
  add(
    'gauge',
    'worker_info',
    'Always 1. Labels: host, compute backend, GPU and build of the worker; gpu is empty on a CPU.',
    ['worker', 'host', 'backend', 'gpu', 'version'],
    () =>
      present().map(
        ({ label, host, backend, gpu, version }): SeriesValue => [
          {
            worker: label,
            host: short(host),
            backend: short(backend),
            gpu: short(gpu ?? ''),
            version: short(version ?? ''),
          },
          1,
        ],
      ),
  );
  const addGpuMetric = (
    name: string,
    help: string,
    read: (memory: NonNullable<MemberView['gpuMemory']>) => number,
  ) =>
    addByLabel('gauge', name, help, 'worker', () =>
      present().flatMap(({ label, gpuMemory }) => (gpuMemory ? [[label, read(gpuMemory)] as const] : [])),
    );
  addGpuMetric(
    'worker_gpu_memory_bytes',
    'GPU memory that the worker has allocated, in bytes.',
    ({ used }) => used,
  );
  addGpuMetric(
    'worker_gpu_memory_limit_bytes',
    'GPU memory that the worker may allocate, in bytes.',
    ({ limit }) => limit,
  );
  addByLabel(
    'gauge',
    'workers',
    'Number of workers: up, silent, or gone without a replacement.',
    'state',
    () => {
      const counts = { up: 0, silent: 0, gone: 0 };
      for (const { state } of server.members()) counts[state]++;
      return Object.entries(counts);
    },
  );
  addByLabel(
    'counter',
    'worker_joins_total',
    'Times that the worker has joined. Above 1, it reconnected or was replaced.',
    'worker',
    () => server.members().map(({ label, joins }) => [label, joins] as const),
  );
  addByLabel('counter', 'worker_departures_total', 'Departures of workers, by reason.', 'reason', () =>
    DEPARTURES.map((reason) => [reason, counters.departures[reason]] as const),
  );
}

/** Traffic between coordinator and workers. */
function addTrafficMetrics({ addScalar, addByLabel }: Families, { server }: MetricSources): void {
  addScalar(
    'counter',
    'units_reassigned_total',
    'Units that were reassigned because their worker had left.',
    () => server.counts().unitsReassigned,
  );
  addScalar(
    'counter',
    'units_raced_total',
    'Units of slow workers that were also sent to idle workers.',
    () => server.counts().unitsRaced,
  );
  addByLabel('counter', 'results_dropped_total', 'Results that were dropped, by reason.', 'reason', () => {
    const counts = server.counts();
    return [
      ['late', counts.resultsLate],
      ['not_asked_for', counts.resultsNotAskedFor],
      ['wrong_shape', counts.resultsWrongShape],
      ['another_term', counts.resultsOfAnotherTerm],
    ];
  });
  addByLabel('counter', 'refused_messages_total', 'Messages that were refused, by reason.', 'reason', () => {
    const counts = server.counts();
    return [
      ['malformed', counts.messagesMalformed],
      ['ignored', counts.messagesIgnored + counts.hellosIgnored],
      ['hello', counts.hellosRefused],
      ['fetch', counts.fetchesRefused],
    ];
  });
  addByLabel(
    'counter',
    'refused_connections_total',
    'Connections that were refused or failed, by reason. Always 0 without keys.',
    'reason',
    () => {
      const refused = server.refused();
      return CONNECTION_FAILURES.map(
        (reason) => [reason.replaceAll('-', '_'), refused[reason] ?? 0] as const,
      );
    },
  );
  addScalar(
    'counter',
    'received_bytes_total',
    'Bytes of messages received from workers, without ZeroMQ overhead.',
    () => server.traffic().received,
  );
  addScalar(
    'counter',
    'sent_bytes_total',
    'Bytes of messages sent to workers, without ZeroMQ overhead.',
    () => server.traffic().sent,
  );
}

function addCheckpointMetrics({ addScalar }: Families, { counters: { checkpoints } }: MetricSources): void {
  const written = (read: () => number) => () => (checkpoints.written ? read() : null);
  addScalar('counter', 'checkpoints_total', 'Checkpoints that were written.', () => checkpoints.written);
  addScalar(
    'counter',
    'checkpoint_failures_total',
    'Checkpoints that could not be written.',
    () => checkpoints.failed,
  );
  addScalar(
    'gauge',
    'checkpoint_timestamp_seconds',
    'Unix time at which the last checkpoint was written, in seconds.',
    () => checkpoints.at && checkpoints.at / 1000,
  );
  addScalar(
    'gauge',
    'checkpoint_bytes',
    'Size of the last checkpoint, in bytes.',
    written(() => checkpoints.bytes),
  );
  addScalar(
    'gauge',
    'checkpoint_seconds',
    'Time to write the last checkpoint, in seconds. Training continues meanwhile.',
    written(() => checkpoints.seconds),
  );
}

/** Truncates text from workers. */
const short = (text: string) => text.slice(0, 100);

function total(tasks: Map<string, number>): number {
  let sum = 0;
  for (const seconds of tasks.values()) sum += seconds;
  return sum;
}

/** For each worker, the fraction of time spent computing since the last call that was at least `MIN_INTERVAL_MS` ago. */
function busyRatiosSinceLastCall(counters: Counters, now: () => number): () => (label: string) => number {
  let since = counters.startedAt;
  let seconds = new Map<string, number>();
  let ratios = new Map<string, number>();
  return () => {
    const elapsed = (now() - since) / 1000;
    if (elapsed * 1000 >= MIN_INTERVAL_MS || !ratios.size) {
      const next = new Map(Array.from(counters.workers, ([label, tasks]) => [label, total(tasks)]));
      ratios = new Map(
        Array.from(next, ([label, busy]) => [
          label,
          Math.min(1, Math.max(0, busy - (seconds.get(label) ?? 0)) / Math.max(elapsed, 1e-3)),
        ]),
      );
      [since, seconds] = [now(), next];
    }
    return (label) => ratios.get(label) ?? 0;
  };
}
