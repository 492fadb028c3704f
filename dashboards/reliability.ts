import * as units from '@grafana/grafana-foundation-sdk/units';
import {
  dashboard,
  EXPECT_ZERO,
  increase,
  RATE_WINDOW,
  RUN,
  smallStat,
  type Thresholds,
  timeSeriesPanel,
  WORKERS,
} from './panels.ts';

/** The dashboard *Reliability*: what went wrong, and what it cost. Only PromQL and panels; the metrics are in page/live/. */

/** Seconds. The alert is raised at the last. */
const AGE: Thresholds = ['green', [120, 'orange'], [600, 'red']];
const age = `time() - max(dpmesh_checkpoint_timestamp_seconds{${RUN}})`;

const byReason = (counter: string) => `sum by (reason) (increase(${counter}{${RUN}}${RATE_WINDOW}))`;

const now = [
  smallStat(
    'Alerts',
    'Firing alerts of this run. Requires alerts.rules.yml in Prometheus. How to respond to each: dashboards/README.md.',
    { firing: `count(ALERTS{alertname=~"Dpmesh.+",alertstate="firing",${RUN}}) or on () vector(0)` },
    { decimals: 0, thresholds: EXPECT_ZERO },
  ),
  smallStat(
    'Workers lost',
    'Since the run began: killed, exited, silent, stalled or cut off, but not those that left with a goodbye. The result stays the same to the byte.',
    { lost: `sum(dpmesh_worker_departures_total{${RUN},reason!="goodbye"})` },
    { decimals: 0, thresholds: EXPECT_ZERO },
  ),
  smallStat(
    'Units reassigned',
    'Since the run began: units of lost workers that others computed again.',
    { units: `sum(dpmesh_units_reassigned_total{${RUN}})` },
    { decimals: 0, thresholds: EXPECT_ZERO },
  ),
  smallStat(
    'Rejections',
    'Messages and connections that the coordinator has rejected since the run began: another version, a wrong key, malformed data.',
    {
      rejected: `sum(dpmesh_refused_messages_total{${RUN}}) + sum(dpmesh_refused_connections_total{${RUN}})`,
    },
    { decimals: 0, thresholds: EXPECT_ZERO },
  ),
  smallStat(
    'Checkpoint age',
    'Age of the newest checkpoint: the work lost if the coordinator dies now. By default one is written every 30 s, at the end of an epoch.',
    { age: age },
    { unit: units.Seconds, decimals: 0, thresholds: AGE },
  ),
  smallStat(
    'Failed checkpoints',
    'Checkpoints that could not be written since the run began. Training continues; events.jsonl has the reason.',
    { failed: `sum(dpmesh_checkpoint_failures_total{${RUN}})` },
    { decimals: 0, thresholds: EXPECT_ZERO },
  ),
];

const workers = [
  timeSeriesPanel(
    'Departures',
    'Workers that left, by reason. killed, exited: the process ended; silent: not heard from within the heartbeat timeout; stalled: did not read its messages; cut: the list of keys changed; refused: sent a result that cannot be right.',
    { '{{reason}}': byReason('dpmesh_worker_departures_total') },
    { events: true },
  ),
  timeSeriesPanel(
    'Joins by worker',
    'How often each worker has joined this run. A line that keeps climbing is a flapping worker; more than 3 joins in 15 minutes raise an alert.',
    { '{{worker}}': `max by (worker) (dpmesh_worker_joins_total{${WORKERS}})` },
    { decimals: 0, steps: true },
  ),
];

const retries = [
  timeSeriesPanel(
    'Retries',
    'Units reassigned because their worker left, and units raced because their worker was slow.',
    {
      reassigned: increase('dpmesh_units_reassigned_total'),
      raced: increase('dpmesh_units_raced_total'),
    },
    { events: true },
  ),
  timeSeriesPanel(
    'Results dropped',
    'late: another worker was first, which is harmless. Other reasons indicate a faulty worker, or one of an earlier session.',
    { '{{reason}}': byReason('dpmesh_results_dropped_total') },
    { events: true },
  ),
  timeSeriesPanel(
    'Rejected messages',
    'hello: another version or numeric identity, or too many workers; fetch: too many requests for rows at once; malformed: not a valid message; ignored: too many malformed messages or hellos.',
    { '{{reason}}': byReason('dpmesh_refused_messages_total') },
    { events: true },
  ),
  timeSeriesPanel(
    'Rejected connections',
    'Missing or unknown keys, and peers that do not speak ZeroMQ. Always 0 without keys.',
    { '{{reason}}': byReason('dpmesh_refused_connections_total') },
    { events: true },
  ),
];

const checkpoints = [
  timeSeriesPanel(
    'Age of the newest checkpoint',
    'Falls to 0 with each checkpoint. Above ten minutes (dashed, red) an alert is raised.',
    { age: age },
    { unit: units.Seconds, thresholds: AGE },
  ),
  timeSeriesPanel(
    'Checkpoints written and failed',
    'Checkpoints in each interval. failed: could not be written to disk.',
    {
      written: increase('dpmesh_checkpoints_total'),
      failed: increase('dpmesh_checkpoint_failures_total'),
    },
    { events: true },
  ),
  timeSeriesPanel(
    'Checkpoint size',
    'Grows with K and the width of the nets. Three checkpoints are kept.',
    { size: `max(dpmesh_checkpoint_bytes{${RUN}})` },
    { unit: units.BytesIEC, steps: true },
  ),
  timeSeriesPanel(
    'Checkpoint duration',
    'From snapshot to durable file. Training continues meanwhile, so a slow disk costs nothing until this takes minutes.',
    { seconds: `max(dpmesh_checkpoint_seconds{${RUN}})` },
    {
      unit: units.Seconds,
      thresholds: ['green', [60, 'orange']],
      steps: true,
    },
  ),
];

const coordinator = [
  timeSeriesPanel(
    'Coordinator uptime',
    'Falls to 0 when the run is resumed.',
    { uptime: `time() - max(process_start_time_seconds and on (instance, job) dpmesh_build_info{${RUN}})` },
    { unit: units.Seconds, width: 8, steps: true },
  ),
  timeSeriesPanel(
    'Event loop delay',
    '90th percentile. Near 1 s, heartbeats are late: the machine is overloaded.',
    { '90 %': `max(nodejs_eventloop_lag_p90_seconds and on (instance, job) dpmesh_build_info{${RUN}})` },
    {
      unit: units.Seconds,
      width: 8,
      thresholds: ['green', [1, 'red']],
    },
  ),
  timeSeriesPanel(
    'Open pages',
    'Browsers that watch the run live. One that does not read its stream is dropped; pages do not slow the run down.',
    { pages: `sum(dpmesh_event_stream_clients{${RUN}})` },
    { decimals: 0, width: 8, steps: true },
  ),
];

/** Faults, and what they cost. */
export const reliability = () =>
  dashboard({
    uid: 'dpmesh-reliability',
    title: 'Reliability',
    description: 'Faults of a dpmesh run and what they cost: lost workers, retries, rejections, checkpoints.',
    byWorker: true,
    rows: [
      ['Now', now],
      ['Workers', workers],
      ['Retries and rejections', retries],
      ['Checkpoints', checkpoints],
      ['Coordinator', coordinator],
    ],
  });
