import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { addProcessMetrics } from '../../base/process-metrics.ts';
import type { Counts } from '../../coordinator/rounds/accounting.ts';
import type { MemberView } from '../../coordinator/rounds/registry.ts';
import type { Server } from '../../coordinator/rounds/server.ts';
import { totalsByCluster } from '../../model/gaussian/components.ts';
import type { Layout } from '../../model/layout.ts';
import { softCounts } from '../../model/mixture.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { REJECTION_REASONS } from '../../proto/authenticator.ts';
import type { RunConfig } from '../../run/config.ts';
import { DEPARTURES } from '../../run/events.ts';
import { STATUSES } from '../drawing/api.ts';
import {
  type Counters,
  getOrCreate,
  type Histogram,
  type MetricReading,
  UPDATE_HELP,
  updateReaders,
} from './counters.ts';
import type { Recorder } from './recorder.ts';

/** The metrics of a run for Prometheus: names, help, and how each is read at a scrape. Counting goes on elsewhere (counters.ts, recorder.ts). */

/**
 * Adds a metric that is read when it is scraped. `key`: its name without prefix, with its labels, such as `workers{state}`. If it ends in `_total`,
 * it is a counter, else a gauge.
 */
function addMetric(registry: Registry, key: string, help: string, read: () => MetricReading): void {
  const [name, labels = ''] = key.replace('}', '').split('{');
  const labelNames = labels.split(',').filter(Boolean);
  const common = { name: `dpmesh_${name}`, help, labelNames, registers: [registry] };
  const series = (): [Record<string, string>, number][] => {
    const found = read();
    if (found == null) return [];
    if (typeof found === 'number') return [[{}, found]];
    return Array.from(found, ([values, value]) => [
      Object.fromEntries([values].flat().map((text, i) => [labelNames[i], text])),
      value,
    ]);
  };
  if (name.endsWith('_total'))
    new Counter({
      ...common,
      collect() {
        this.reset();
        for (const [of, value] of series()) this.inc(of, value);
      },
    });
  else
    new Gauge({
      ...common,
      collect() {
        this.reset();
        // Without labels, `reset` leaves a 0 even if the value is unknown.
        if (!labelNames.length) this.remove();
        for (const [of, value] of series()) this.set(of, value);
      },
    });
}

/** prom-client's histograms record values themselves; this one exports a histogram that was counted elsewhere. */
function addHistogram(
  registry: Registry,
  name: string,
  help: string,
  read: () => [Record<string, string>, Histogram][],
): void {
  const full = `dpmesh_${name}`;
  const get = async () => ({
    ...{ name: full, help, type: 'histogram', aggregator: 'sum' },
    values: read().flatMap(([labels, { bounds, counts, sum, count }]) => {
      let below = 0;
      return [
        ...[...bounds, '+Inf'].map((le, i) => ({
          labels: { ...labels, le },
          value: (below += counts[i]),
          metricName: `${full}_bucket`,
        })),
        { labels, value: round(sum), metricName: `${full}_sum` },
        { labels, value: count, metricName: `${full}_count` },
      ];
    }),
  });
  registry.registerMetric({ name: full, help, get } as unknown as Metric);
}

/** Rounds to microseconds: further digits are noise and make the response longer. */
const round = (seconds: number) => Math.round(seconds * 1e6) / 1e6;

/** Where the metrics are read from, at each scrape. */
export interface MetricSources {
  /** The label `run` of all metrics: the name of the run directory. */
  name: string;
  /** The label `run_id`: that of run.json. */
  id: string;
  versions: Record<string, string>;
  layout: Pick<Layout, 'rows'>;
  config: Pick<RunConfig, 'maxEpochs' | 'schedule'>;
  recorder: Pick<Recorder, 'status' | 'snapshot' | 'run'>;
  counters: Counters;
  server: Pick<Server, 'identity' | 'members' | 'counts' | 'refused' | 'traffic'>;
  streamClients(): number;
  /** Monotonic clock, ms. */
  now?: () => number;
}

/** The metrics, as of `addMetric`, each with its help. */
const HELP = {
  'build_info{version,node,identity}':
    'Always 1. Labels: version of dpmesh, version of Node.js, numeric identity of the run.',
  'run_state{state}': '1 for the current state of the run, 0 for all other states.',
  clusters: 'Current number of clusters, K.',
  epoch: 'Last completed epoch.',
  max_epochs: 'Maximum number of epochs (--max-epochs).',
  epochs_total: 'Epochs completed by this process.',
  epoch_timestamp_seconds: 'Unix time at which the last epoch ended, in seconds.',
  rows: 'Number of rows in the data.',
  sample_rows: 'Number of rows in the training sample.',
  clustering_loss: 'Loss of the clustering net in the last epoch that trained it.',
  subclustering_loss: 'Loss of the sub-clustering nets in the last epoch that trained them.',
  encoder_epoch: 'Epochs of the encoder that are complete.',
  encoder_max_epochs: 'Epochs that the encoder trains for (--encoder-epochs).',
  encoder_loss: 'Loss in the last epoch of the encoder: its error, as a share of the variance of its inputs.',
  encoder_epoch_seconds: 'Duration of the last epoch of the encoder, in seconds.',
  encoder_bytes_per_row: 'Bytes to and from all workers in the last epoch of the encoder, for each row.',
  partition_agreement:
    'Graph likelihood: mean adjusted Rand index of partitions of random shares of the sample, at the resolution of the run.',
  'partition_clusters{bound}':
    'Graph likelihood: the least and the largest number of clusters in these partitions.',
  'cluster_weight{cluster}': 'Mixture weight of the cluster, 0 to 1. First 200 clusters only.',
  'cluster_rows{cluster}': 'Soft count of sample rows in the cluster. First 200 clusters only.',
  'proposals_total{kind,outcome}': 'Proposed splits and merges, by kind and outcome.',
  'best_log_ratio{kind}': 'Largest log Hastings ratio in the last split or merge step.',
  rounds_total: 'Completed rounds, in which every shard has returned its result.',
  units_total:
    'Units of work whose results were accepted, of all tasks of a run: while it gets on, this grows.',
  'worker_task_seconds_total{worker,task}':
    'Compute time by worker and task, in seconds. With more than 200 workers, all metrics by worker are by host, and task="all" is the sum over tasks.',
  'worker_busy_ratio{worker}':
    'Fraction of the time since the previous scrape that the worker spent computing, 0 to 1. First scrape: since the start of the run.',
  'worker_memory_bytes{worker}': 'Resident memory of the worker process, in bytes.',
  'worker_info{worker,host,backend,gpu,version}':
    'Always 1. Labels: host, compute backend, GPU and build of the worker; gpu is empty on a CPU.',
  'worker_gpu_memory_bytes{worker}': 'GPU memory that the worker has allocated, in bytes.',
  'worker_gpu_memory_limit_bytes{worker}': 'GPU memory that the worker may allocate, in bytes.',
  'workers{state}': 'Number of workers: up, silent, or gone without a replacement.',
  'worker_joins_total{worker}': 'Times that the worker has joined. Above 1, it reconnected or was replaced.',
  'worker_departures_total{reason}': 'Departures of workers, by reason.',
  units_reassigned_total: 'Units that were reassigned because their worker had left.',
  units_raced_total: 'Units of slow workers that were also sent to idle workers.',
  'results_dropped_total{reason}': 'Results that were dropped, by reason.',
  'refused_messages_total{reason}': 'Messages that were refused, by reason.',
  'refused_connections_total{reason}':
    'Connections that were refused or failed, by reason. Always 0 without keys.',
  received_bytes_total: 'Bytes of messages received from workers, without ZeroMQ overhead.',
  sent_bytes_total: 'Bytes of messages sent to workers, without ZeroMQ overhead.',
  checkpoints_total: 'Checkpoints that were written.',
  checkpoint_failures_total: 'Checkpoints that could not be written.',
  checkpoint_timestamp_seconds: 'Unix time at which the last checkpoint was written, in seconds.',
  checkpoint_bytes: 'Size of the last checkpoint, in bytes.',
  checkpoint_seconds: 'Time to write the last checkpoint, in seconds. Training continues meanwhile.',
  event_stream_clients: 'Clients connected to the event stream.',
  ...UPDATE_HELP,
} as const;
type MetricName = keyof typeof HELP;

/** Clusters with a time series each. */
const MAX_CLUSTERS = 200;
/** With more workers than this, hosts take their place, and tasks are summed, so that the response stays below a megabyte. */
const MAX_WORKERS = 200;
/** Shortest interval for which busy ratios are computed, ms: a second scraper right after the first gets the same values. */
const MIN_INTERVAL_MS = 500;
const KINDS = ['split', 'merge'] as const;

/** How each metric is read at a scrape. */
function readers(sources: MetricSources): { [Name in MetricName]: () => MetricReading } {
  const { recorder, counters, server, config, now = () => performance.now() } = sources;
  const { epochs, checkpoints } = counters;
  const ofEncoder = (read: (epoch: NonNullable<Counters['encoder']>) => number) => () =>
    counters.encoder && read(counters.encoder);
  const graph = () => recorder.snapshot()?.state.graph;
  const weights = () => [...(recorder.snapshot()?.state.mixture.weights ?? [])];
  /** Sums of what components have. */
  const byCluster = (values: readonly number[]): MetricReading =>
    totalsByCluster(values, recorder.snapshot()?.state.groups)
      .slice(0, MAX_CLUSTERS)
      .map((value, k) => [String(k), value]);
  const sampleRows = () => recorder.run()?.sampleRows ?? null;
  const areMany = () => server.members().length > MAX_WORKERS;
  /** The values of workers, or those of each host's together. */
  const byWorker = (
    values: readonly (readonly [label: string, value: number])[],
    together: (values: number[]) => number,
  ): readonly (readonly [string, number])[] => {
    if (!areMany()) return values;
    const hosts = new Map(server.members().map(({ label, host }) => [label, short(host)]));
    const groups = new Map<string, number[]>();
    for (const [label, value] of values) getOrCreate(groups, hosts.get(label) ?? label, () => []).push(value);
    return Array.from(groups, ([host, own]) => [host, together(own)]);
  };
  const present = () => server.members().filter(({ state }) => state !== 'gone');
  /** Of the workers that are present and that have told it. */
  const memory = (read: (member: MemberView) => number | undefined) => (): MetricReading =>
    byWorker(
      present().flatMap((member) => {
        const bytes = read(member);
        return bytes === undefined ? [] : [[member.label, bytes] as const];
      }),
      sum,
    );
  const counts = (reasons: Record<string, (keyof Counts)[]>) => (): MetricReading => {
    const all = server.counts();
    return Object.entries(reasons).map(([name, of]) => [name, of.reduce((sum, key) => sum + all[key], 0)]);
  };
  const busyRatios = busyRatiosSinceLastCall(counters, now);
  const written = (value: number) => (checkpoints.written ? value : null);
  return {
    'build_info{version,node,identity}': () => [
      [[sources.versions.dpmesh, process.version, server.identity() ?? ''], 1],
    ],
    'run_state{state}': () => STATUSES.map((state) => [state, Number(state === recorder.status())]),
    clusters: () => {
      const { state, counts } = recorder.snapshot() ?? {};
      return counts?.filter((rows) => rows > 0).length ?? epochs.k ?? state?.mixture.k ?? null;
    },
    epoch: () => epochs.last,
    max_epochs: () => config.maxEpochs,
    epochs_total: () => epochs.count,
    epoch_timestamp_seconds: () => epochs.at && epochs.at / 1000,
    rows: () => sources.layout.rows,
    sample_rows: sampleRows,
    clustering_loss: () => epochs.loss,
    subclustering_loss: () => epochs.subLoss,
    partition_agreement: () => graph()?.stability ?? null,
    'partition_clusters{bound}': () => (graph()?.range ?? []).map((k, i) => [i ? 'most' : 'least', k]),
    'cluster_weight{cluster}': () => byCluster(weights()),
    'cluster_rows{cluster}': () =>
      byCluster(softCounts(weights(), sampleRows() ?? 0, weightSmoothing(config.schedule))),
    'proposals_total{kind,outcome}': () =>
      KINDS.flatMap((kind) =>
        (['accepted', 'refused'] as const).map((outcome) => [[kind, outcome], counters[kind][outcome]]),
      ),
    'best_log_ratio{kind}': () =>
      KINDS.flatMap((kind) => {
        const { best } = counters[kind];
        return best === null ? [] : [[kind, best]];
      }),
    encoder_epoch: ofEncoder(({ epoch }) => epoch),
    encoder_max_epochs: ofEncoder(({ of }) => of),
    encoder_loss: ofEncoder(({ loss }) => loss),
    encoder_epoch_seconds: ofEncoder(({ wall }) => wall),
    encoder_bytes_per_row: ofEncoder(({ bytes }) => bytes / sources.layout.rows),
    rounds_total: () => counters.rounds.count,
    units_total: () => counters.units,
    'worker_task_seconds_total{worker,task}': () => {
      const all = [...counters.workers];
      if (areMany()) {
        const seconds = byWorker(
          all.map(([label, tasks]) => [label, total(tasks)]),
          sum,
        );
        return seconds.map(([host, value]) => [[host, 'all'], round(value)]);
      }
      return all.flatMap(([worker, tasks]) =>
        Array.from(tasks, ([task, seconds]) => [[worker, task], round(seconds)] as const),
      );
    },
    'worker_busy_ratio{worker}': () => {
      const ratioOf = busyRatios();
      return byWorker(
        present().map(({ label }) => [label, round(ratioOf(label))]),
        (ratios) => round(sum(ratios) / ratios.length),
      );
    },
    'worker_memory_bytes{worker}': memory(({ memory }) => memory || undefined),
    'worker_info{worker,host,backend,gpu,version}': () => {
      const shown = areMany() ? firstOfHosts(present()) : present();
      return shown.map(({ label, host, backend, gpu, version }) => [
        [label, ...[host, backend, gpu, version].map((text) => short(text ?? ''))],
        1,
      ]);
    },
    'worker_gpu_memory_bytes{worker}': memory(({ gpuMemory }) => gpuMemory?.used),
    'worker_gpu_memory_limit_bytes{worker}': memory(({ gpuMemory }) => gpuMemory?.limit),
    'workers{state}': () => {
      const counts = { up: 0, silent: 0, gone: 0 };
      for (const { state } of server.members()) counts[state]++;
      return Object.entries(counts);
    },
    'worker_joins_total{worker}': () =>
      byWorker(
        server.members().map(({ label, joins }) => [label, joins]),
        (joins) => Math.max(...joins),
      ),
    'worker_departures_total{reason}': () =>
      DEPARTURES.map((reason) => [reason, counters.departures[reason]]),
    units_reassigned_total: () => server.counts().unitsReassigned,
    units_raced_total: () => server.counts().unitsRaced,
    'results_dropped_total{reason}': counts({
      late: ['resultsLate'],
      not_asked_for: ['resultsNotAskedFor'],
      wrong_shape: ['resultsWrongShape'],
      another_term: ['resultsOfAnotherTerm'],
    }),
    'refused_messages_total{reason}': counts({
      malformed: ['messagesMalformed'],
      ignored: ['messagesIgnored', 'hellosIgnored'],
      hello: ['hellosRefused'],
      fetch: ['fetchesRefused'],
    }),
    'refused_connections_total{reason}': () => {
      const refused: Record<string, number> = server.refused();
      return Object.keys(REJECTION_REASONS).map((name) => [name.replaceAll('-', '_'), refused[name] ?? 0]);
    },
    received_bytes_total: () => server.traffic().received,
    sent_bytes_total: () => server.traffic().sent,
    checkpoints_total: () => checkpoints.written,
    checkpoint_failures_total: () => checkpoints.failed,
    checkpoint_timestamp_seconds: () => checkpoints.at && checkpoints.at / 1000,
    checkpoint_bytes: () => written(checkpoints.bytes),
    checkpoint_seconds: () => written(checkpoints.seconds),
    event_stream_clients: sources.streamClients,
    ...updateReaders(counters.updates),
  };
}

/** The registry of one run; docs/monitoring.md lists its metrics. */
export function createMetrics(sources: MetricSources): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ run: sources.name, run_id: sources.id });
  addProcessMetrics(registry);
  for (const [key, read] of Object.entries(readers(sources)))
    addMetric(registry, key, HELP[key as MetricName], read);
  const { rounds, tasks } = sources.counters;
  addHistogram(registry, 'round_seconds', ROUND_HELP, () => [[{}, rounds]]);
  addHistogram(registry, 'task_seconds', TASK_HELP, () =>
    Array.from(tasks, ([task, histogram]) => [{ task }, histogram]),
  );
  return registry;
}

const ROUND_HELP = 'Duration of a round from its start to its last result, in seconds.';
const TASK_HELP = 'Compute time per unit (usually a shard), by task, in seconds.';

/** Truncates text from workers. */
const short = (text: string) => text.slice(0, 100);

const sum = (values: Iterable<number>): number => {
  let all = 0;
  for (const value of values) all += value;
  return all;
};
const total = (tasks: Map<string, number>) => sum(tasks.values());

/** Of each host its first worker, under the name of the host. */
const firstOfHosts = (members: MemberView[]) =>
  Array.from(new Map(members.toReversed().map((member) => [member.host, member])).values(), (member) => ({
    ...member,
    label: short(member.host),
  }));

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
