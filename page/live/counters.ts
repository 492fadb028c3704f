import type { RoundListener } from '../../coordinator/rounds/scheduler.ts';
import { ALARMS } from '../../model/stream/findings.ts';
import { DEPARTURES, type Departure, FATES, type RunEvent } from '../../run/events.ts';

/** What is counted of a run, for metrics. It does not know how these are exported (page/live/prometheus.ts). */

/** The value of a metric without labels (null: not known yet), or the label values and value of each of its time series. */
export type MetricReading =
  | number
  | null
  | readonly (readonly [labels: string | readonly string[], value: number])[];

/** Counts of observed values by bucket. */
export interface Histogram {
  /** Upper bounds of the buckets, inclusive; `counts` has one more for larger values. */
  bounds: readonly number[];
  counts: Float64Array;
  sum: number;
  count: number;
}

const ROUND_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const TASK_BOUNDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];

function createHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: new Float64Array(bounds.length + 1), sum: 0, count: 0 };
}

/** Records `value` `times` times. */
function observe(histogram: Histogram, value: number, times = 1): void {
  let i = 0;
  while (i < histogram.bounds.length && value > histogram.bounds[i]) i++;
  histogram.counts[i] += times;
  histogram.sum += value * times;
  histogram.count += times;
}

/** Of splits or merges; `best`: the largest log H of the last step with proposals, null: none so far. */
const noProposals = () => ({ accepted: 0, refused: 0, best: null as number | null, epoch: -1 });

export type Counters = ReturnType<typeof createCounters>;

/**
 * Counters of a run since the start of this process. Plain numbers, because they are updated hundreds of times a second but
 * read only a few times a minute (page/live/prometheus.ts). `startedAt`: on the clock of `performance.now()`.
 */
export function createCounters(now: () => number = Date.now, startedAt = performance.now()) {
  const known = (value: number | null) => value;
  const self = {
    startedAt,
    rounds: createHistogram(ROUND_BOUNDS),
    /** Units with accepted results. */
    units: 0,
    /** Compute time per unit in seconds, by task. */
    tasks: new Map<string, Histogram>(),
    /** Compute time in seconds, by worker and task. */
    workers: new Map<string, Map<string, number>>(),
    /** `at`: when the last one ended, ms since 1970. */
    epochs: { count: 0, last: 0, at: known(null), k: known(null), loss: known(null), subLoss: known(null) },
    split: noProposals(),
    merge: noProposals(),
    departures: Object.fromEntries(DEPARTURES.map((how) => [how, 0])) as Record<Departure, number>,
    /** The last epoch of the encoder; null: there was none. */
    encoder: null as Extract<RunEvent, { type: 'encoder-epoch' }> | null,
    checkpoints: { written: 0, failed: 0, at: known(null), bytes: 0, seconds: 0 },
    updates: createUpdateCounters(),

    roundEnded: (duration: number) => observe(self.rounds, duration / 1000),
    results(...[label, { done }, tasks]: Parameters<RoundListener['results']>) {
      let units = 0;
      for (const { length } of done) units += length;
      self.units += units;
      const own = getOrCreate(self.workers, label, () => new Map<string, number>());
      for (const [task, seconds] of tasks) {
        // Reported by a worker, so not trusted.
        if (!(seconds >= 0 && seconds < 1e9)) continue;
        own.set(task, (own.get(task) ?? 0) + seconds);
        observe(
          getOrCreate(self.tasks, task, () => createHistogram(TASK_BOUNDS)),
          seconds / units,
          units,
        );
      }
    },
    event(event: RunEvent) {
      self.updates.event(event);
      switch (event.type) {
        case 'resume':
          Object.assign(self.epochs, { last: event.epoch, k: event.k });
          break;
        case 'epoch': {
          const { epochs } = self;
          epochs.count++;
          epochs.at = now();
          epochs.last = event.epoch;
          epochs.k = event.k;
          epochs.loss = event.loss ?? epochs.loss;
          epochs.subLoss = event.subLoss ?? epochs.subLoss;
          break;
        }
        case 'encoder-epoch':
          self.encoder = event;
          break;
        case 'step':
          self.epochs.k = event.k;
          break;
        case 'split':
        case 'merge': {
          const own = self[event.type];
          if (event.accepted) own.accepted++;
          else own.refused++;
          if (event.epoch !== own.epoch) Object.assign(own, { epoch: event.epoch, best: null });
          if (event.logRatio !== null) own.best = Math.max(own.best ?? -Infinity, event.logRatio);
          break;
        }
        case 'worker-gone':
          if (event.how) self.departures[event.how]++;
          break;
        case 'checkpoint': {
          const { bytes, seconds } = event;
          self.checkpoints.written++;
          Object.assign(self.checkpoints, { at: now(), bytes, seconds });
          break;
        }
        case 'checkpoint-failed':
          self.checkpoints.failed++;
          break;
      }
    },
  };
  return self;
}

export function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
}

/** The metrics of updates, from their events alone: how new rows differ, and what became of clusters. */

export const UPDATE_HELP = {
  update: 'Update of the last drift, from 1.',
  drift_rows: 'New rows that the update compared with earlier ones.',
  drift_nats: 'Mean log-density of earlier rows less that of new ones, in nats.',
  drift_unlikely_ratio: 'Share of new rows that are less likely than 99 % of the earlier ones.',
  drift_moved_ratio:
    'Share of new rows that would have to change clusters for the shares of these to be as before.',
  drift_missed_ratio:
    'Graph likelihood: by how much more of a row’s length the axes of the run miss, as a share of it.',
  drift_apart_ratio: 'Graph likelihood: share of new rows whose neighbours are nearly all new as well.',
  drift_residual_ratio: 'With an encoder: by what share the error with which it rebuilds new rows is larger.',
  'drift_deviate{measure}':
    'The same as normal deviates of what chance gives: nats, unlikely, missed, apart, residual, moved. Above 3.9 they are less than 1e-4 by chance.',
  'drift_alarm{alarm}': '1 if the new rows differ in this way so that it matters, else 0.',
  'drift_alarms_total{alarm}': 'Updates whose new rows differ in this way.',
  'lineage_total{what}': 'What became of clusters in updates: born, split, merged, gone, returned.',
} as const;

type Drift = Extract<RunEvent, { type: 'drift' }>;

const zeros = <Name extends string>(names: readonly Name[]) =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

type UpdateCounters = ReturnType<typeof createUpdateCounters>;

/** Counts over the updates of a process; `drift`: the last one, null before the first. */
function createUpdateCounters() {
  const self = {
    drift: null as Drift | null,
    alarms: zeros(ALARMS),
    lineage: zeros(FATES),
    event(event: RunEvent): void {
      if (event.type === 'drift') {
        self.drift = event;
        for (const alarm of event.alarms) self.alarms[alarm]++;
      }
      if (event.type === 'lineage') self.lineage[event.what]++;
    },
  };
  return self;
}

/** Label values have no spaces. */
const labelled = ([name, value]: [string, number]) => [name.replace(' ', '_'), value] as const;

/** How each metric is read at a scrape. */
export function updateReaders(
  counters: UpdateCounters,
): Record<keyof typeof UPDATE_HELP, () => MetricReading> {
  const ofDrift =
    <Value extends MetricReading>(read: (drift: Drift) => Value) =>
    () =>
      counters.drift && read(counters.drift);
  return {
    update: ofDrift(({ update }) => update),
    drift_rows: ofDrift(({ rows }) => rows),
    drift_nats: ofDrift((drift) => ('nats' in drift ? drift.nats : null)),
    drift_unlikely_ratio: ofDrift((drift) => ('nats' in drift ? drift.unlike : null)),
    drift_missed_ratio: ofDrift((drift) => ('nats' in drift ? null : drift.missed)),
    drift_apart_ratio: ofDrift((drift) => ('nats' in drift ? null : drift.apart)),
    drift_residual_ratio: ofDrift(({ residual }) => residual ?? null),
    drift_moved_ratio: ofDrift(({ moved }) => moved),
    'drift_deviate{measure}': ofDrift((drift) => {
      const { movedZ, residualZ } = drift;
      const own: Record<string, number> =
        'nats' in drift
          ? { nats: drift.likelihoodZ, unlikely: drift.unlikeZ }
          : { missed: drift.missedZ, apart: drift.apartZ };
      return Object.entries({
        ...own,
        moved: movedZ,
        ...(residualZ !== undefined && { residual: residualZ }),
      });
    }),
    'drift_alarm{alarm}': ofDrift(({ alarms }) =>
      ALARMS.map((alarm) => labelled([alarm, Number(alarms.includes(alarm))])),
    ),
    'drift_alarms_total{alarm}': () => Object.entries(counters.alarms).map(labelled),
    'lineage_total{what}': () => Object.entries(counters.lineage),
  };
}
