import { ALARMS } from '../../model/stream/findings.ts';
import { FATES, type RunEvent } from '../../run/events.ts';
import type { MetricReading } from './metric.ts';

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

export type UpdateCounters = ReturnType<typeof createUpdateCounters>;

/** Counts over the updates of a process; `drift`: the last one, null before the first. */
export function createUpdateCounters() {
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
