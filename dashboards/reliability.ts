import * as units from '@grafana/grafana-foundation-sdk/units';
import { dashboard, RATE_WINDOW, RUN, WORKERS } from './dashboard.ts';
import { EXPECT_ZERO, smallStat, type Thresholds, timeSeriesPanel } from './panels.ts';

/** Seconds. The alert is raised at the last. */
const AGE: Thresholds = [
  [null, 'green'],
  [120, 'orange'],
  [600, 'red'],
];
const age = `time() - max(dpmesh_checkpoint_timestamp_seconds{${RUN}})`;

const byReason = (counter: string) => `sum by (reason) (increase(${counter}{${RUN}}${RATE_WINDOW}))`;

const now = [
  smallStat({
    title: 'Alerts',
    description:
      'Firing alerts of this run. Requires alerts.rules.yml in Prometheus. How to respond to each: docs/grafana.md.',
    decimals: 0,
    thresholds: EXPECT_ZERO,
    queries: [
      [`count(ALERTS{alertname=~"Dpmesh.+",alertstate="firing",${RUN}}) or on () vector(0)`, 'firing'],
    ],
  }),
  smallStat({
    title: 'Workers lost',
    description:
      'Since the run began: killed, exited, silent, stalled or cut off, but not those that left with a goodbye. The result stays the same to the byte.',
    decimals: 0,
    thresholds: EXPECT_ZERO,
    queries: [[`sum(dpmesh_worker_departures_total{${RUN},reason!="goodbye"})`, 'lost']],
  }),
  smallStat({
    title: 'Units reassigned',
    description: 'Since the run began: units of lost workers that others computed again.',
    decimals: 0,
    thresholds: EXPECT_ZERO,
    queries: [[`sum(dpmesh_units_reassigned_total{${RUN}})`, 'units']],
  }),
  smallStat({
    title: 'Rejections',
    description:
      'Messages and connections that the coordinator has rejected since the run began: another version, a wrong key, malformed data.',
    decimals: 0,
    thresholds: EXPECT_ZERO,
    queries: [
      [
        `sum(dpmesh_refused_messages_total{${RUN}}) + sum(dpmesh_refused_connections_total{${RUN}})`,
        'rejected',
      ],
    ],
  }),
  smallStat({
    title: 'Checkpoint age',
    description:
      'Age of the newest checkpoint: the work lost if the coordinator dies now. By default one is written every 30 s, at the end of an epoch.',
    unit: units.Seconds,
    decimals: 0,
    thresholds: AGE,
    queries: [[age, 'age']],
  }),
  smallStat({
    title: 'Failed checkpoints',
    description:
      'Checkpoints that could not be written since the run began. Training continues; events.jsonl has the reason.',
    decimals: 0,
    thresholds: EXPECT_ZERO,
    queries: [[`sum(dpmesh_checkpoint_failures_total{${RUN}})`, 'failed']],
  }),
];

const workers = [
  timeSeriesPanel({
    title: 'Departures',
    description:
      'Workers that left, by reason. killed, exited: the process ended; silent: not heard from within the heartbeat timeout; stalled: did not read its messages; cut: the list of keys changed; refused: sent a result that cannot be right.',
    queries: [[byReason('dpmesh_worker_departures_total'), '{{reason}}']],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Joins by worker',
    description:
      'How often each worker has joined this run. A line that keeps climbing is a flapping worker; more than 3 joins in 15 minutes raise an alert.',
    decimals: 0,
    queries: [[`max by (worker) (dpmesh_worker_joins_total{${WORKERS}})`, '{{worker}}']],
    steps: true,
  }),
];

const retries = [
  timeSeriesPanel({
    title: 'Retries',
    description: 'Units reassigned because their worker left, and units raced because their worker was slow.',
    queries: [
      [`sum(increase(dpmesh_units_reassigned_total{${RUN}}${RATE_WINDOW}))`, 'reassigned'],
      [`sum(increase(dpmesh_units_raced_total{${RUN}}${RATE_WINDOW}))`, 'raced'],
    ],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Results dropped',
    description:
      'late: another worker was first, which is harmless. Other reasons indicate a faulty worker, or one of an earlier session.',
    queries: [[byReason('dpmesh_results_dropped_total'), '{{reason}}']],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Rejected messages',
    description:
      'hello: another version or numeric identity, or too many workers; fetch: too many requests for rows at once; malformed: not a valid message; ignored: too many malformed messages or hellos.',
    queries: [[byReason('dpmesh_refused_messages_total'), '{{reason}}']],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Rejected connections',
    description: 'Missing or unknown keys, and peers that do not speak ZeroMQ. Always 0 without keys.',
    queries: [[byReason('dpmesh_refused_connections_total'), '{{reason}}']],
    events: true,
  }),
];

const checkpoints = [
  timeSeriesPanel({
    title: 'Age of the newest checkpoint',
    description: 'Falls to 0 with each checkpoint. Above ten minutes (dashed, red) an alert is raised.',
    unit: units.Seconds,
    thresholds: AGE,
    queries: [[age, 'age']],
  }),
  timeSeriesPanel({
    title: 'Checkpoints written and failed',
    description: 'Checkpoints in each interval. failed: could not be written to disk.',
    queries: [
      [`sum(increase(dpmesh_checkpoints_total{${RUN}}${RATE_WINDOW}))`, 'written'],
      [`sum(increase(dpmesh_checkpoint_failures_total{${RUN}}${RATE_WINDOW}))`, 'failed'],
    ],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Checkpoint size',
    description: 'Grows with K and the width of the nets. Three checkpoints are kept.',
    unit: units.BytesIEC,
    queries: [[`max(dpmesh_checkpoint_bytes{${RUN}})`, 'size']],
    steps: true,
  }),
  timeSeriesPanel({
    title: 'Checkpoint duration',
    description:
      'From snapshot to durable file. Training continues meanwhile, so a slow disk costs nothing until this takes minutes.',
    unit: units.Seconds,
    thresholds: [
      [null, 'green'],
      [60, 'orange'],
    ],
    queries: [[`max(dpmesh_checkpoint_seconds{${RUN}})`, 'seconds']],
    steps: true,
  }),
];

const coordinator = [
  timeSeriesPanel({
    title: 'Coordinator uptime',
    description: 'Falls to 0 when the run is resumed.',
    unit: units.Seconds,
    width: 8,
    queries: [
      [`time() - max(process_start_time_seconds and on (instance, job) dpmesh_build_info{${RUN}})`, 'uptime'],
    ],
    steps: true,
  }),
  timeSeriesPanel({
    title: 'Event loop delay',
    description: '90th percentile. Near 1 s, heartbeats are late: the machine is overloaded.',
    unit: units.Seconds,
    width: 8,
    thresholds: [
      [null, 'green'],
      [1, 'red'],
    ],
    queries: [
      [`max(nodejs_eventloop_lag_p90_seconds and on (instance, job) dpmesh_build_info{${RUN}})`, '90 %'],
    ],
  }),
  timeSeriesPanel({
    title: 'Open pages',
    description:
      'Browsers that watch the run live. One that does not read its stream is dropped; pages do not slow the run down.',
    decimals: 0,
    width: 8,
    queries: [[`sum(dpmesh_event_stream_clients{${RUN}})`, 'pages']],
    steps: true,
  }),
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
