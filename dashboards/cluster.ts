import * as units from '@grafana/grafana-foundation-sdk/units';
import { frame, LATELY, RUN, WORKERS } from './frame.ts';
import { course, figure, type Limits, type Look, NEUTRAL, table } from './panels.ts';

const small = (look: Omit<Look, 'width'>) => figure({ width: 4, ...look });

/** Below a half, workers wait more than they work. */
const BUSY: Limits = [
  [null, 'orange'],
  [0.5, 'green'],
];

/** A worker without a GPU reports no GPU memory: it is drawn at 0 rather than left out. */
const orNought = (expr: string) => `${expr} or 0 * max by (worker) (dpmesh_worker_info{${WORKERS}})`;
const gpu = (what: string) => `max by (worker) (dpmesh_worker_gpu_memory${what}_bytes{${WORKERS}})`;

const quantile = (q: number, buckets: string, by = 'le') =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${buckets}_bucket{${RUN}}${LATELY})))`;

const now = [
  small({
    title: 'Workers up',
    about:
      'That have been heard within the heartbeat timeout. More than there are shards are of no use (--shards).',
    unit: units.Short,
    decimals: 0,
    limits: [
      [null, 'red'],
      [1, 'green'],
    ],
    queries: [[`sum(dpmesh_workers{${RUN},state="up"})`, 'workers']],
  }),
  small({
    title: 'Busy share',
    about:
      'How much of their time the workers compute, on average. Low: rounds are too short for so many workers, some wait for a slow one, or the run is over.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    limits: BUSY,
    queries: [[`avg(dpmesh_worker_busy_ratio{${WORKERS}})`, 'busy']],
  }),
  small({
    title: 'Rounds a second',
    about: 'A round is one task over all shards of the sample; an epoch takes a few.',
    unit: units.OpsPerSecond,
    limits: NEUTRAL,
    queries: [[`sum(rate(dpmesh_rounds_total{${RUN}}${LATELY}))`, 'rounds']],
  }),
  small({
    title: 'Epochs a second',
    about: 'Epochs that ended, a second.',
    unit: units.OpsPerSecond,
    limits: NEUTRAL,
    queries: [[`sum(rate(dpmesh_epochs_total{${RUN}}${LATELY}))`, 'epochs']],
  }),
  small({
    title: 'Computing',
    about: 'Seconds of computing a second, by all workers together: so many of them are at work at once.',
    unit: units.Short,
    limits: NEUTRAL,
    queries: [[`sum(rate(dpmesh_task_seconds_sum{${RUN}}${LATELY}))`, 'at work']],
  }),
  small({
    title: 'Traffic',
    about: 'In and out of the coordinator, together.',
    unit: units.BytesPerSecondSI,
    limits: NEUTRAL,
    queries: [
      [
        `sum(rate(dpmesh_received_bytes_total{${RUN}}${LATELY})) + sum(rate(dpmesh_sent_bytes_total{${RUN}}${LATELY}))`,
        'bytes',
      ],
    ],
  }),
];

const workers = [
  course(
    {
      title: 'Workers by state',
      about:
        'Up; silent: not heard for a while, not yet given up; gone. A gone worker of train is started anew.',
      unit: units.Short,
      decimals: 0,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [[`sum by (state) (dpmesh_workers{${RUN}})`, '{{state}}']],
    },
    { steps: true },
  ),
  course({
    title: 'Busy share by worker',
    about:
      'One that is busier than the others is slower, or has more shards: the others wait for it at the end of a round.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    width: 12,
    limits: NEUTRAL,
    queries: [[`max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})`, '{{worker}}']],
  }),
  table(
    {
      title: 'Who they are',
      about: 'Host, backend and GPU of each worker that has joined, with its busy share and memory.',
      unit: units.Short,
      width: 24,
      limits: NEUTRAL,
      queries: [
        [`max by (worker, host, backend, gpu) (dpmesh_worker_info{${WORKERS}})`, ''],
        [`max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})`, ''],
        [`max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})`, ''],
      ],
    },
    [
      ['worker', 'Worker'],
      ['host', 'Host'],
      ['backend', 'Backend'],
      ['gpu', 'GPU'],
      ['Value #B', 'Busy', units.PercentUnit],
      ['Value #C', 'Memory', units.BytesIEC],
    ],
    ['Value #A'],
  ),
];

const time = [
  course(
    {
      title: 'Where the time goes: tasks',
      about: 'Seconds of computing a second by task, one on the other: so many workers are at work on each.',
      unit: units.Short,
      min: 0,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [[`sum by (task) (rate(dpmesh_task_seconds_sum{${RUN}}${LATELY}))`, '{{task}}']],
    },
    { stacked: true },
  ),
  course(
    {
      title: 'Where the time goes: workers',
      about: 'Seconds of computing a second by worker, one on the other; each can reach 1.',
      unit: units.Short,
      min: 0,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [
        [`sum by (worker) (rate(dpmesh_worker_task_seconds_total{${WORKERS}}${LATELY}))`, '{{worker}}'],
      ],
    },
    { stacked: true },
  ),
  course({
    title: 'Seconds a round',
    about:
      'From the first unit dealt to the last result. 99 % far above 50 %: some rounds wait for a straggler.',
    unit: units.Seconds,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [
      [quantile(0.5, 'dpmesh_round_seconds'), '50 %'],
      [quantile(0.9, 'dpmesh_round_seconds'), '90 %'],
      [quantile(0.99, 'dpmesh_round_seconds'), '99 %'],
    ],
  }),
  course({
    title: 'Seconds a unit, by task',
    about:
      'Nine units of ten took no longer: one unit is one task on one shard. Uneven shards or a slow worker raise it.',
    unit: units.Seconds,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [[quantile(0.9, 'dpmesh_task_seconds', 'le, task'), '{{task}}']],
  }),
];

const load = [
  course({
    title: 'Traffic',
    about:
      'Bytes a second at the coordinator: states go out, results come in. Near the speed of the network, workers wait for it.',
    unit: units.BytesPerSecondSI,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [
      [`sum(rate(dpmesh_received_bytes_total{${RUN}}${LATELY}))`, 'in'],
      [`sum(rate(dpmesh_sent_bytes_total{${RUN}}${LATELY}))`, 'out'],
    ],
  }),
  course(
    {
      title: 'Stragglers',
      about:
        'Units that an idle worker raced a slow one for, and units dealt again because their worker left. Now and then is harmless.',
      unit: units.Short,
      min: 0,
      width: 12,
      limits: NEUTRAL,
      queries: [
        [`sum(increase(dpmesh_units_raced_total{${RUN}}${LATELY}))`, 'raced'],
        [`sum(increase(dpmesh_units_redealt_total{${RUN}}${LATELY}))`, 'dealt again'],
      ],
    },
    { bars: true, stacked: true },
  ),
  course({
    title: 'Memory of workers',
    about:
      'Resident memory of each worker. It holds its shards of the sample; steady growth would be a fault of ours.',
    unit: units.BytesIEC,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [[`max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})`, '{{worker}}']],
  }),
  course({
    title: 'Coordinator',
    about: 'Its resident memory; it loads no tensor library, so it stays small whatever the data.',
    unit: units.BytesIEC,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [
      [`max(process_resident_memory_bytes and on (instance, job) dpmesh_build_info{${RUN}})`, 'resident'],
    ],
  }),
];

const gpus = [
  course({
    title: 'GPU memory',
    about: 'In use by each worker. 0: it has no GPU, or its backend does not tell.',
    unit: units.BytesIEC,
    min: 0,
    width: 12,
    limits: NEUTRAL,
    queries: [[orNought(gpu('')), '{{worker}}']],
  }),
  course({
    title: 'GPU memory, share of the limit',
    about: 'From 90 % on (dashed) the next larger batch may not fit. 0: no GPU.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    width: 12,
    limits: [
      [null, 'green'],
      [0.9, 'red'],
    ],
    queries: [[orNought(`${gpu('')} / ${gpu('_limit')}`), '{{worker}}']],
  }),
];

/** Who computes, how fast, and what they wait for. */
export const cluster = () =>
  frame({
    uid: 'dpmesh-cluster',
    title: 'Cluster',
    about:
      'The workers of a run of dpmesh: who is there, how busy they are, where the time goes, memory and traffic.',
    byWorker: true,
    rows: [
      ['Now', now],
      ['Workers', workers],
      ['Time', time],
      ['Traffic and memory', load],
      ['GPUs', gpus],
    ],
  });
