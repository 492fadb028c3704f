import * as units from '@grafana/grafana-foundation-sdk/units';
import { dashboard, RATE_WINDOW, RUN, WORKERS } from './dashboard.ts';
import { smallStat, type Thresholds, tablePanel, timeSeriesPanel } from './panels.ts';

/** Below one half, workers wait more than they compute. */
const BUSY: Thresholds = [
  [null, 'orange'],
  [0.5, 'green'],
];

/** A worker without a GPU reports no GPU memory: it is drawn at 0 rather than left out. */
const orZero = (expr: string) => `${expr} or 0 * max by (worker) (dpmesh_worker_info{${WORKERS}})`;
const gpu = (what: string) => `max by (worker) (dpmesh_worker_gpu_memory${what}_bytes{${WORKERS}})`;

const quantile = (q: number, buckets: string, by = 'le') =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${buckets}_bucket{${RUN}}${RATE_WINDOW})))`;

const now = [
  smallStat({
    title: 'Workers up',
    description:
      'Workers heard from within the heartbeat timeout. More workers than shards (--shards) do not help.',
    decimals: 0,
    thresholds: [
      [null, 'red'],
      [1, 'green'],
    ],
    queries: [[`sum(dpmesh_workers{${RUN},state="up"})`, 'workers']],
  }),
  smallStat({
    title: 'Busy fraction',
    description:
      'Average fraction of their time that the workers compute. If low: rounds are too short for so many workers, some wait for a slow one, or the run is over.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    thresholds: BUSY,
    queries: [[`avg(dpmesh_worker_busy_ratio{${WORKERS}})`, 'busy']],
  }),
  smallStat({
    title: 'Rounds per second',
    description: 'A round runs one or more tasks on all shards of the sample; an epoch takes a few rounds.',
    unit: units.OpsPerSecond,
    queries: [[`sum(rate(dpmesh_rounds_total{${RUN}}${RATE_WINDOW}))`, 'rounds']],
  }),
  smallStat({
    title: 'Epochs per second',
    description: 'Epochs completed per second.',
    unit: units.OpsPerSecond,
    queries: [[`sum(rate(dpmesh_epochs_total{${RUN}}${RATE_WINDOW}))`, 'epochs']],
  }),
  smallStat({
    title: 'Workers computing',
    description:
      'Compute seconds per second, all workers together: the average number of workers computing at once.',
    queries: [[`sum(rate(dpmesh_task_seconds_sum{${RUN}}${RATE_WINDOW}))`, 'computing']],
  }),
  smallStat({
    title: 'Traffic',
    description: 'Bytes per second received and sent by the coordinator, together.',
    unit: units.BytesPerSecondSI,
    queries: [
      [
        `sum(rate(dpmesh_received_bytes_total{${RUN}}${RATE_WINDOW})) + sum(rate(dpmesh_sent_bytes_total{${RUN}}${RATE_WINDOW}))`,
        'bytes',
      ],
    ],
  }),
];

const workers = [
  timeSeriesPanel({
    title: 'Workers by state',
    description:
      'up; silent: not heard from within the heartbeat timeout, its work is assigned to others until it responds again; gone: left and not replaced.',
    decimals: 0,
    queries: [[`sum by (state) (dpmesh_workers{${RUN}})`, '{{state}}']],
    steps: true,
  }),
  timeSeriesPanel({
    title: 'Busy fraction by worker',
    description:
      'A worker that is busier than the others is slower or has more shards: the others wait for it at the end of a round.',
    unit: units.PercentUnit,
    max: 1,
    queries: [[`max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})`, '{{worker}}']],
  }),
  tablePanel(
    {
      title: 'Worker details',
      description:
        'Host, backend, GPU and build of each worker that has joined, with its busy fraction and memory.',
      width: 24,
      queries: [
        [`max by (worker, host, backend, gpu, version) (dpmesh_worker_info{${WORKERS}})`, ''],
        [`max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})`, ''],
        [`max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})`, ''],
      ],
    },
    [
      ['worker', 'Worker'],
      ['host', 'Host'],
      ['backend', 'Backend'],
      ['gpu', 'GPU'],
      ['version', 'Build'],
      ['Value #B', 'Busy', units.PercentUnit],
      ['Value #C', 'Memory', units.BytesIEC],
    ],
    ['Value #A'],
  ),
];

const time = [
  timeSeriesPanel({
    title: 'Compute time by task',
    description: 'Compute seconds per second by task, stacked: the number of workers computing each task.',
    unit: units.Short,
    height: 9,
    queries: [[`sum by (task) (rate(dpmesh_task_seconds_sum{${RUN}}${RATE_WINDOW}))`, '{{task}}']],
    stacked: true,
  }),
  timeSeriesPanel({
    title: 'Compute time by worker',
    description: 'Compute seconds per second by worker, stacked; each worker can reach 1.',
    unit: units.Short,
    height: 9,
    queries: [
      [`sum by (worker) (rate(dpmesh_worker_task_seconds_total{${WORKERS}}${RATE_WINDOW}))`, '{{worker}}'],
    ],
    stacked: true,
  }),
  timeSeriesPanel({
    title: 'Round duration',
    description:
      'From the first dispatched unit to the last result. If the 99th percentile is far above the median, some rounds wait for a straggler.',
    unit: units.Seconds,
    queries: [
      [quantile(0.5, 'dpmesh_round_seconds'), '50 %'],
      [quantile(0.9, 'dpmesh_round_seconds'), '90 %'],
      [quantile(0.99, 'dpmesh_round_seconds'), '99 %'],
    ],
  }),
  timeSeriesPanel({
    title: 'Unit duration by task',
    description: '90th percentile. A unit is one task on one shard. Uneven shards or a slow worker raise it.',
    unit: units.Seconds,
    queries: [[quantile(0.9, 'dpmesh_task_seconds', 'le, task'), '{{task}}']],
  }),
];

const load = [
  timeSeriesPanel({
    title: 'Traffic',
    description:
      'Bytes per second at the coordinator: model states are sent, results received. Near the network bandwidth, workers wait for it.',
    unit: units.BytesPerSecondSI,
    queries: [
      [`sum(rate(dpmesh_received_bytes_total{${RUN}}${RATE_WINDOW}))`, 'received'],
      [`sum(rate(dpmesh_sent_bytes_total{${RUN}}${RATE_WINDOW}))`, 'sent'],
    ],
  }),
  timeSeriesPanel({
    title: 'Stragglers',
    description:
      'Units that an idle worker raced against a slow one, and units reassigned because their worker left. A few are harmless.',
    queries: [
      [`sum(increase(dpmesh_units_raced_total{${RUN}}${RATE_WINDOW}))`, 'raced'],
      [`sum(increase(dpmesh_units_reassigned_total{${RUN}}${RATE_WINDOW}))`, 'reassigned'],
    ],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Worker memory',
    description:
      'Resident memory of each worker, which holds its shards of the sample. Steady growth would be a memory leak.',
    unit: units.BytesIEC,
    queries: [[`max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})`, '{{worker}}']],
  }),
  timeSeriesPanel({
    title: 'Coordinator memory',
    description:
      'Resident memory. The coordinator loads no tensor library, so this stays small whatever the size of the data.',
    unit: units.BytesIEC,
    queries: [
      [`max(process_resident_memory_bytes and on (instance, job) dpmesh_build_info{${RUN}})`, 'resident'],
    ],
  }),
];

const gpus = [
  timeSeriesPanel({
    title: 'GPU memory',
    description: 'GPU memory in use by each worker. 0: it has no GPU, or its backend does not report it.',
    unit: units.BytesIEC,
    queries: [[orZero(gpu('')), '{{worker}}']],
  }),
  timeSeriesPanel({
    title: 'GPU memory, fraction of the limit',
    description: 'Above 90 % (dashed) a larger batch may not fit. 0: no GPU.',
    unit: units.PercentUnit,
    max: 1,
    thresholds: [
      [null, 'green'],
      [0.9, 'red'],
    ],
    queries: [[orZero(`${gpu('')} / ${gpu('_limit')}`), '{{worker}}']],
  }),
];

/** Which workers compute, how fast, and what they wait for. */
export const cluster = () =>
  dashboard({
    uid: 'dpmesh-cluster',
    title: 'Cluster',
    description:
      'The workers of a dpmesh run: which are connected, how busy they are, where compute time goes, memory and traffic.',
    byWorker: true,
    rows: [
      ['Now', now],
      ['Workers', workers],
      ['Compute time', time],
      ['Traffic and memory', load],
      ['GPUs', gpus],
    ],
  });
