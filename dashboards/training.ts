import * as units from '@grafana/grafana-foundation-sdk/units';
import { dashboard, RATE_WINDOW, RUN } from './dashboard.ts';
import {
  asCounts,
  barChart,
  barGauge,
  smallStat,
  statPanel,
  type Thresholds,
  timeSeriesPanel,
} from './panels.ts';

const accepted = (kind: string) =>
  `sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"})` +
  ` - sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"} offset $__interval)`;

/** Mean adjusted Rand index of partitions. */
const AGREEMENT: Thresholds = [
  [null, 'orange'],
  [0.8, 'green'],
];

const now = [
  statPanel(
    {
      title: 'State',
      description:
        'State of the run: starting, running, paused, finishing (the full pass over all rows), done, failed or stopped.',
      width: 4,
      queries: [[`max by (state) (dpmesh_run_state{${RUN}}) == 1`, '{{state}}']],
    },
    'name',
  ),
  smallStat({
    title: 'Clusters (K)',
    description: 'Current number of clusters. Splits raise it, merges lower it.',
    decimals: 0,
    queries: [[`max(dpmesh_clusters{${RUN}})`, 'K']],
  }),
  smallStat({
    title: 'Epoch',
    description:
      'The last completed epoch. A run ends before --max-epochs if splits and merges have settled.',
    decimals: 0,
    queries: [[`max(dpmesh_epoch{${RUN}})`, 'epoch']],
  }),
  smallStat({
    title: 'Progress to --max-epochs',
    description: 'At 100 % the run ends even if it has not settled.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    queries: [[`max(dpmesh_epoch{${RUN}}) / max(dpmesh_max_epochs{${RUN}})`, 'progress']],
  }),
  smallStat({
    title: 'Rows',
    description:
      'Rows of the data. All of them get labels in the full pass, whatever the size of the sample.',
    queries: [[`max(dpmesh_rows{${RUN}})`, 'rows']],
  }),
  smallStat({
    title: 'Sample',
    description: 'Rows used for training: the same ones in every epoch.',
    queries: [[`max(dpmesh_sample_rows{${RUN}})`, 'rows']],
  }),
];

const progress = [
  timeSeriesPanel({
    title: 'Clusters over time',
    description:
      'K. The marks are accepted splits (blue) and merges (orange). When the line stays level, the run has settled.',
    decimals: 0,
    width: 10,
    height: 9,
    queries: [[`max(dpmesh_clusters{${RUN}})`, 'K']],
    steps: true,
  }),
  asCounts(
    statPanel(
      {
        title: 'How sure K is',
        description:
          'Runs with the graph likelihood partition random shares of the sample at the resolution that they use. Agreement: the mean adjusted Rand index of two such partitions, 1 if all have the same clusters, near 0 if what they share is chance. Below it, the least and the largest number of clusters in them. If agreement is low or the range wide, other rows would have given other clusters, and K is one answer of several: see the tree of clusters. No data: the run has Gaussian clusters (then --replicates says how sure K is), or no partitions agree, so that K is 1.',
        decimals: 2,
        min: 0,
        max: 1,
        width: 4,
        height: 9,
        thresholds: AGREEMENT,
        queries: [
          [`max(dpmesh_partition_agreement{${RUN}})`, 'agreement'],
          [`max(dpmesh_partition_clusters{${RUN},bound="least"})`, 'K at least'],
          [`max(dpmesh_partition_clusters{${RUN},bound="most"})`, 'K at most'],
        ],
      },
      'both',
    ),
    ['K at least', 'K at most'],
  ),
  timeSeriesPanel({
    title: 'Losses',
    description:
      'Loss of the clustering net (left axis; none at K = 1) and of the sub-clustering nets (right axis). They fall, and jump where K changes. NaN or infinity raises an alert.',
    unit: units.Short,
    width: 10,
    height: 9,
    queries: [
      [`max(dpmesh_clustering_loss{${RUN}})`, 'clustering'],
      [`max(dpmesh_subclustering_loss{${RUN}})`, 'sub-clustering'],
    ],
    rightAxis: 'sub-clustering',
    min: null,
  }),
];

const encoder = [
  timeSeriesPanel({
    title: 'Encoder: reconstruction error',
    description:
      'Only in runs with --encoder. What an auto-encoder loses of its rows, as a share of their variance: 1 is as bad as their mean, 0 is perfect. It falls quickly, then slowly; if it is level long before the end, fewer --encoder-epochs do.',
    unit: units.PercentUnit,
    height: 4,
    queries: [[`max(dpmesh_encoder_loss{${RUN}})`, 'error']],
  }),
  smallStat({
    title: 'Encoder passes',
    description: 'Complete passes of the encoder over all rows, of --encoder-epochs.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    queries: [[`max(dpmesh_encoder_epoch{${RUN}}) / max(dpmesh_encoder_max_epochs{${RUN}})`, 'progress']],
  }),
  smallStat({
    title: 'Time of a pass',
    description: 'Duration of its last epoch.',
    unit: units.Seconds,
    queries: [[`max(dpmesh_encoder_epoch_seconds{${RUN}})`, 'seconds']],
  }),
  smallStat({
    title: 'Bytes a row',
    description:
      'What its weights cost on the network in an epoch, for each row. More --encoder-steps between averages need fewer.',
    unit: units.BytesIEC,
    queries: [[`max(dpmesh_encoder_bytes_per_row{${RUN}})`, 'bytes']],
  }),
];

const changes = [
  timeSeriesPanel({
    title: 'Proposals',
    description: 'Proposed splits and merges by outcome. Nearly all are refused once K has settled.',
    width: 8,
    queries: [
      [
        `sum by (kind, outcome) (increase(dpmesh_proposals_total{${RUN}}${RATE_WINDOW}))`,
        '{{kind}} {{outcome}}',
      ],
    ],
    events: true,
  }),
  timeSeriesPanel({
    title: 'Acceptance rate',
    description:
      'Accepted fraction of all proposals of the run so far. Falls towards 0 as K settles; splits that merges undo keep it up.',
    unit: units.PercentUnit,
    max: 1,
    width: 8,
    queries: [
      [
        `sum by (kind) (dpmesh_proposals_total{${RUN},outcome="accepted"})` +
          ` / clamp_min(sum by (kind) (dpmesh_proposals_total{${RUN}}), 1)`,
        '{{kind}}',
      ],
    ],
  }),
  timeSeriesPanel({
    title: 'Best log-ratio',
    description:
      'Log Hastings ratio of the best proposal of the last step. Above 0 (dashed) it is certain to be accepted; far below 0, never. Far below 0 for both: K has settled.',
    unit: units.Short,
    width: 8,
    thresholds: [
      [null, 'blue'],
      [0, 'green'],
    ],
    queries: [[`max by (kind) (dpmesh_best_log_ratio{${RUN}})`, '{{kind}}']],
    steps: true,
    min: null,
  }),
];

const sizes = [
  timeSeriesPanel({
    title: 'Cluster sizes over time',
    description:
      'Rows of the sample in each cluster (soft counts), stacked, for the first 200 clusters. A split divides a band.',
    unit: units.Short,
    height: 9,
    queries: [[`max by (cluster) (dpmesh_cluster_rows{${RUN}})`, 'cluster {{cluster}}']],
    stacked: true,
    steps: true,
    hideLegend: true,
  }),
  barChart(
    {
      title: 'Cluster sizes now',
      description:
        'Rows of the sample in each cluster (soft counts), largest first, for the first 200 clusters.',
      unit: units.Short,
      min: 0,
      width: 12,
      height: 9,
      queries: [[`sort_desc(max by (cluster) (dpmesh_cluster_rows{${RUN}}))`, '']],
    },
    'cluster',
  ),
  timeSeriesPanel({
    title: 'Smallest, mean and largest cluster',
    description: 'Rows of the sample, on a logarithmic axis. A cluster near 0 will be merged.',
    unit: units.Short,
    queries: [
      [`min(dpmesh_cluster_rows{${RUN}})`, 'smallest'],
      [`avg(dpmesh_cluster_rows{${RUN}})`, 'mean'],
      [`max(dpmesh_cluster_rows{${RUN}})`, 'largest'],
    ],
    log: true,
    steps: true,
    min: null,
  }),
  barGauge({
    title: 'Largest cluster weights',
    description: 'The ten largest weights π of the mixture.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    width: 12,
    queries: [
      [`sort_desc(topk(10, max by (cluster) (dpmesh_cluster_weight{${RUN}})))`, 'cluster {{cluster}}'],
    ],
  }),
];

/** What a run learns: K, losses, proposals, clusters. */
export const training = () =>
  dashboard({
    uid: 'dpmesh-training',
    title: 'Training',
    description:
      'What a dpmesh run learns: the number of clusters, losses, splits and merges, cluster sizes.',
    annotations: [
      { name: 'Splits', colour: 'blue', expr: accepted('split'), text: 'split' },
      { name: 'Merges', colour: 'orange', expr: accepted('merge'), text: 'merge' },
    ],
    rows: [
      ['Now', now],
      ['Progress', progress],
      ['Encoder', encoder],
      ['Splits and merges', changes],
      ['Clusters', sizes],
    ],
  });
