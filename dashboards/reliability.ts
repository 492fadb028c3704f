import * as units from '@grafana/grafana-foundation-sdk/units';
import { frame, LATELY, RUN, WORKERS } from './frame.ts';
import { course, figure, type Limits, type Look, NEUTRAL, NONE } from './panels.ts';

const small = (look: Omit<Look, 'width'>) => figure({ width: 4, ...look });

/** Seconds; the alert is raised at the last. */
const AGE: Limits = [
  [null, 'green'],
  [120, 'orange'],
  [600, 'red'],
];
const age = `time() - max(dpmesh_checkpoint_timestamp_seconds{${RUN}})`;

const byReason = (counter: string) => `sum by (reason) (increase(${counter}{${RUN}}${LATELY}))`;

const now = [
  small({
    title: 'Alerts',
    about:
      'Of this run that are firing. Needs alerts.rules.yml in Prometheus; what to do about each: docs/grafana.md.',
    unit: units.Short,
    decimals: 0,
    limits: NONE,
    queries: [
      [`count(ALERTS{alertname=~"Dpmesh.+",alertstate="firing",${RUN}}) or on () vector(0)`, 'firing'],
    ],
  }),
  small({
    title: 'Workers lost',
    about:
      'Since the run began: killed, exited, silent or cut off; those that said goodbye do not count. The outcome stays the same to the byte.',
    unit: units.Short,
    decimals: 0,
    limits: NONE,
    queries: [[`sum(dpmesh_worker_departures_total{${RUN},reason!="goodbye"})`, 'lost']],
  }),
  small({
    title: 'Units dealt again',
    about: 'Since the run began: work of lost workers that others did anew.',
    unit: units.Short,
    decimals: 0,
    limits: NONE,
    queries: [[`sum(dpmesh_units_redealt_total{${RUN}})`, 'units']],
  }),
  small({
    title: 'Refusals',
    about:
      'Messages and connections that the coordinator refused since the run began: another version, a wrong key, nonsense.',
    unit: units.Short,
    decimals: 0,
    limits: NONE,
    queries: [
      [
        `sum(dpmesh_refused_messages_total{${RUN}}) + sum(dpmesh_refused_connections_total{${RUN}})`,
        'refused',
      ],
    ],
  }),
  small({
    title: 'Newest checkpoint',
    about:
      'Its age: so much work is lost if the coordinator dies now. By default one is due every 30 s, at the end of an epoch.',
    unit: units.Seconds,
    decimals: 0,
    limits: AGE,
    queries: [[age, 'age']],
  }),
  small({
    title: 'Checkpoints failed',
    about: 'That could not be written since the run began. Training goes on without; events.jsonl says why.',
    unit: units.Short,
    decimals: 0,
    limits: NONE,
    queries: [[`sum(dpmesh_checkpoint_failures_total{${RUN}})`, 'failed']],
  }),
];

const workers = [
  course(
    {
      title: 'Departures',
      about:
        'Workers that left, by how. killed and exited: their process ended; silent: not heard for the heartbeat timeout; cut: the connection broke.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[byReason('dpmesh_worker_departures_total'), '{{reason}}']],
    },
    { bars: true, stacked: true },
  ),
  course(
    {
      title: 'Joins by worker',
      about:
        'How often each has joined in this run. One line that climbs: a worker that flaps (from 4 in 15 minutes on an alert).',
      unit: units.Short,
      decimals: 0,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[`max by (worker) (dpmesh_worker_joins_total{${WORKERS}})`, '{{worker}}']],
    },
    { steps: true },
  ),
];

const retries = [
  course(
    {
      title: 'Retries',
      about: 'Units dealt again because their worker left, and units raced because theirs was slow.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [
        [`sum(increase(dpmesh_units_redealt_total{${RUN}}${LATELY}))`, 'dealt again'],
        [`sum(increase(dpmesh_units_raced_total{${RUN}}${LATELY}))`, 'raced'],
      ],
    },
    { bars: true, stacked: true },
  ),
  course(
    {
      title: 'Results dropped',
      about:
        'late: another worker was first, which is harmless. The others mean a worker that is confused or of another term.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[byReason('dpmesh_results_dropped_total'), '{{reason}}']],
    },
    { bars: true, stacked: true },
  ),
  course(
    {
      title: 'Messages refused',
      about:
        'hello: a worker of another version or numeric identity, or whose name is taken; fetch: rows that it may not have; malformed and ignored: nonsense, or a sender of too much of it.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[byReason('dpmesh_refused_messages_total'), '{{reason}}']],
    },
    { bars: true, stacked: true },
  ),
  course(
    {
      title: 'Connections refused',
      about:
        'Keys that are not on the list or missing, and whoever is no worker at all. Always 0 without keys.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[byReason('dpmesh_refused_connections_total'), '{{reason}}']],
    },
    { bars: true, stacked: true },
  ),
];

const checkpoints = [
  course({
    title: 'Age of the newest checkpoint',
    about: 'A saw: it falls to 0 with each checkpoint. From ten minutes on (dashed, red) an alert is raised.',
    unit: units.Seconds,
    min: 0,
    width: 12,
    limits: AGE,
    queries: [[age, 'age']],
  }),
  course(
    {
      title: 'Written and failed',
      about: 'Checkpoints in each interval. Failed: the disk refused them.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [
        [`sum(increase(dpmesh_checkpoints_total{${RUN}}${LATELY}))`, 'written'],
        [`sum(increase(dpmesh_checkpoint_failures_total{${RUN}}${LATELY}))`, 'failed'],
      ],
    },
    { bars: true, stacked: true },
  ),
  course(
    {
      title: 'Size of a checkpoint',
      about: 'It grows with K and the width of the nets; three are kept.',
      unit: units.BytesIEC,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[`max(dpmesh_checkpoint_bytes{${RUN}})`, 'size']],
    },
    { steps: true },
  ),
  course(
    {
      title: 'Seconds a checkpoint',
      about:
        'From snapshot to durable file. Epochs go on meanwhile, so a slow disk costs nothing until it takes minutes.',
      unit: units.Seconds,
      min: 0,
      width: 12,
      limits: [
        [null, 'green'],
        [60, 'orange'],
      ],
      queries: [[`max(dpmesh_checkpoint_seconds{${RUN}})`, 'seconds']],
    },
    { steps: true },
  ),
];

const coordinator = [
  course(
    {
      title: 'Coordinator up for',
      about: 'It falls to 0 where the run was resumed.',
      unit: units.Seconds,
      min: 0,
      width: 8,
      limits: NEUTRAL,
      queries: [
        [
          `time() - max(process_start_time_seconds and on (instance, job) dpmesh_build_info{${RUN}})`,
          'up for',
        ],
      ],
    },
    { steps: true },
  ),
  course({
    title: 'Delay of its event loop',
    about:
      'Nine of ten delays were no longer. Near a second, heartbeats come late: the machine is overloaded.',
    unit: units.Seconds,
    min: 0,
    width: 8,
    limits: [
      [null, 'green'],
      [1, 'red'],
    ],
    queries: [
      [`max(nodejs_eventloop_lag_p90_seconds and on (instance, job) dpmesh_build_info{${RUN}})`, '90 %'],
    ],
  }),
  course(
    {
      title: 'Pages open',
      about: 'Browsers that watch the run live. One that does not read is dropped; it costs the run nothing.',
      unit: units.Short,
      decimals: 0,
      min: 0,
      width: 8,
      limits: NEUTRAL,
      queries: [[`sum(dpmesh_event_stream_clients{${RUN}})`, 'pages']],
    },
    { steps: true },
  ),
];

/** What went wrong, and what it cost. */
export const reliability = () =>
  frame({
    uid: 'dpmesh-reliability',
    title: 'Reliability',
    about:
      'What went wrong in a run of dpmesh, and what it cost: lost workers, retries, refusals, checkpoints.',
    byWorker: true,
    rows: [
      ['Now', now],
      ['Workers', workers],
      ['Retries and refusals', retries],
      ['Checkpoints', checkpoints],
      ['Coordinator', coordinator],
    ],
  });
