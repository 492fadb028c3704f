import * as units from '@grafana/grafana-foundation-sdk/units';
import {
  dashboard,
  increase,
  RATE_WINDOW,
  RUN,
  rate,
  smallStat,
  type Thresholds,
  tablePanel,
  timeSeriesPanel,
  WORKERS,
} from './panels.ts';

/** The dashboard *Cluster*: which workers compute, and what they wait for. Only PromQL and panels; the metrics are in page/live/. */

/** Below one half, workers wait more than they compute. */
const BUSY: Thresholds = ['orange', [0.5, 'green']];

/** A worker without a GPU reports no GPU memory: it is drawn at 0 rather than left out. */
const orZero = (expr: string) => `${expr} or 0 * max by (worker) (dpmesh_worker_info{${WORKERS}})`;
const gpu = (what: string) => `max by (worker) (dpmesh_worker_gpu_memory${what}_bytes{${WORKERS}})`;

const quantile = (q: number, buckets: string, by = 'le') =>
  `histogram_quantile(${q}, sum by (${by}) (rate(${buckets}_bucket{${RUN}}${RATE_WINDOW})))`;

const now = [
  smallStat(
    'Workers up',
    'Workers heard from within the heartbeat timeout. More workers than shards (--shards) do not help.',
    { workers: `sum(dpmesh_workers{${RUN},state="up"})` },
    {
      decimals: 0,
      thresholds: ['red', [1, 'green']],
    },
  ),
  smallStat(
    'Busy fraction',
    'Average fraction of their time that the workers compute. If low: rounds are too short for so many workers, some wait for a slow one, or the run is over.',
    { busy: `avg(dpmesh_worker_busy_ratio{${WORKERS}})` },
    { unit: units.PercentUnit, min: 0, max: 1, thresholds: BUSY },
  ),
  smallStat(
    'Rounds per second',
    'A round runs one or more tasks on all shards of the sample; an epoch takes a few rounds.',
    { rounds: rate('dpmesh_rounds_total') },
    { unit: units.OpsPerSecond },
  ),
  smallStat(
    'Epochs per second',
    'Epochs completed per second.',
    { epochs: rate('dpmesh_epochs_total') },
    { unit: units.OpsPerSecond },
  ),
  smallStat(
    'Workers computing',
    'Compute seconds per second, all workers together: the average number of workers computing at once.',
    { computing: rate('dpmesh_task_seconds_sum') },
  ),
  smallStat(
    'Traffic',
    'Bytes per second received and sent by the coordinator, together.',
    {
      bytes: `${rate('dpmesh_received_bytes_total')} + ${rate('dpmesh_sent_bytes_total')}`,
    },
    { unit: units.BytesPerSecondSI },
  ),
];

const workers = [
  timeSeriesPanel(
    'Workers by state',
    'up; silent: not heard from within the heartbeat timeout, its work is assigned to others until it responds again; gone: left and not replaced.',
    { '{{state}}': `sum by (state) (dpmesh_workers{${RUN}})` },
    { decimals: 0, steps: true },
  ),
  timeSeriesPanel(
    'Busy fraction by worker',
    'A worker that is busier than the others is slower or has more shards: the others wait for it at the end of a round.',
    { '{{worker}}': `max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})` },
    { unit: units.PercentUnit, max: 1 },
  ),
  tablePanel(
    'Worker details',
    'Host, backend, GPU and build of each worker that has joined, with its busy fraction and memory.',
    {
      info: `max by (worker, host, backend, gpu, version) (dpmesh_worker_info{${WORKERS}})`,
      busy: `max by (worker) (dpmesh_worker_busy_ratio{${WORKERS}})`,
      memory: `max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})`,
    },
    { width: 24 },
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
  timeSeriesPanel(
    'Compute time by task',
    'Compute seconds per second by task, stacked: the number of workers computing each task.',
    { '{{task}}': `sum by (task) (rate(dpmesh_task_seconds_sum{${RUN}}${RATE_WINDOW}))` },
    { unit: units.Short, height: 9, stacked: true },
  ),
  timeSeriesPanel(
    'Compute time by worker',
    'Compute seconds per second by worker, stacked; each worker can reach 1.',
    { '{{worker}}': `sum by (worker) (rate(dpmesh_worker_task_seconds_total{${WORKERS}}${RATE_WINDOW}))` },
    { unit: units.Short, height: 9, stacked: true },
  ),
  timeSeriesPanel(
    'Round duration',
    'From the first dispatched unit to the last result. If the 99th percentile is far above the median, some rounds wait for a straggler.',
    {
      '50 %': quantile(0.5, 'dpmesh_round_seconds'),
      '90 %': quantile(0.9, 'dpmesh_round_seconds'),
      '99 %': quantile(0.99, 'dpmesh_round_seconds'),
    },
    { unit: units.Seconds },
  ),
  timeSeriesPanel(
    'Unit duration by task',
    '90th percentile. A unit is one task on one shard. Uneven shards or a slow worker raise it.',
    { '{{task}}': quantile(0.9, 'dpmesh_task_seconds', 'le, task') },
    { unit: units.Seconds },
  ),
];

const load = [
  timeSeriesPanel(
    'Traffic',
    'Bytes per second at the coordinator: model states are sent, results received. Near the network bandwidth, workers wait for it.',
    {
      received: rate('dpmesh_received_bytes_total'),
      sent: rate('dpmesh_sent_bytes_total'),
    },
    { unit: units.BytesPerSecondSI },
  ),
  timeSeriesPanel(
    'Stragglers',
    'Units that an idle worker raced against a slow one, and units reassigned because their worker left. A few are harmless.',
    {
      raced: increase('dpmesh_units_raced_total'),
      reassigned: increase('dpmesh_units_reassigned_total'),
    },
    { events: true },
  ),
  timeSeriesPanel(
    'Worker memory',
    'Resident memory of each worker, which holds its shards of the sample. Steady growth would be a memory leak.',
    { '{{worker}}': `max by (worker) (dpmesh_worker_memory_bytes{${WORKERS}})` },
    { unit: units.BytesIEC },
  ),
  timeSeriesPanel(
    'Coordinator memory',
    'Resident memory. The coordinator loads no tensor library, so this stays small whatever the size of the data.',
    { resident: `max(process_resident_memory_bytes and on (instance, job) dpmesh_build_info{${RUN}})` },
    { unit: units.BytesIEC },
  ),
];

const gpus = [
  timeSeriesPanel(
    'GPU memory',
    'GPU memory in use by each worker. 0: it has no GPU, or its backend does not report it.',
    { '{{worker}}': orZero(gpu('')) },
    { unit: units.BytesIEC },
  ),
  timeSeriesPanel(
    'GPU memory, fraction of the limit',
    'Above 90 % (dashed) a larger batch may not fit. 0: no GPU.',
    { '{{worker}}': orZero(`${gpu('')} / ${gpu('_limit')}`) },
    {
      unit: units.PercentUnit,
      max: 1,
      thresholds: ['green', [0.9, 'red']],
    },
  ),
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
