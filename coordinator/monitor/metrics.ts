import { collectDefaultMetrics, Registry } from 'prom-client';
import { softCounts } from '../../model/soft-counts.ts';
import { STATUSES } from '../../view/api.ts';
import type { RunConfig } from '../config.ts';
import type { Server } from '../scheduler/server.ts';
import type { Tallies } from './counters.ts';
import { createFamilies, type Row } from './metric-families.ts';
import { addWorkerMetrics } from './metrics-workers.ts';
import type { Recorder } from './recorder.ts';

/** What is measured: all of it is read when somebody asks, and nothing before. */
export interface Measured {
  /** The label `run` of all metrics: the name of the run directory. */
  name: string;
  version: string;
  rows: number;
  config: Pick<RunConfig, 'maxEpochs' | 'weightSmoothing'>;
  recorder: Pick<Recorder, 'status' | 'newest' | 'run'>;
  tallies: Tallies;
  server: Pick<Server, 'identity' | 'members' | 'counts' | 'refused' | 'traffic'>;
  streamClients(): number;
  /** ms, steady. */
  now?: () => number;
}

/** Clusters that have series of their own. */
const MOST_CLUSTERS = 200;
/** Of prom-client's own, gauges whose names end as only counters' may. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** The registry of one run; docs/monitoring.md lists its metrics. */
export function createMetrics(measured: Measured): Registry {
  const { recorder, tallies, server, config } = measured;
  const registry = new Registry();
  registry.setDefaultLabels({ run: measured.name });
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);

  const families = createFamilies(registry);
  const { add, one, each, histogram } = families;

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

  const { epochs } = tallies;
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
      (['accepted', 'refused'] as const).map((outcome): Row => [{ kind, outcome }, tallies[kind][outcome]]),
    ),
  );
  each(
    'gauge',
    'best_log_ratio',
    'Log of the best Hastings ratio in the last split or merge step.',
    'kind',
    () =>
      (['split', 'merge'] as const).flatMap((kind) => {
        const { best } = tallies[kind];
        return best === null ? [] : [[kind, best] as const];
      }),
  );

  one(
    'counter',
    'rounds_total',
    'Rounds that are over: questions that all shards have answered.',
    () => tallies.rounds.count,
  );
  histogram('round_seconds', 'Seconds from the start of a round to its last result.', () => [
    [{}, tallies.rounds],
  ]);
  histogram('task_seconds', 'Seconds of computing for one unit (mostly a shard), by task.', () =>
    Array.from(tallies.tasks, ([task, found]) => [{ task }, found]),
  );

  addWorkerMetrics(families, measured);

  const { checkpoints } = tallies;
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
  one(
    'gauge',
    'event_stream_clients',
    'Pages and other clients that follow the run.',
    measured.streamClients,
  );
  return registry;
}
