import * as units from '@grafana/grafana-foundation-sdk/units';
import {
  asCounts,
  barChart,
  barGauge,
  dashboard,
  EXPECT_ZERO,
  RATE_WINDOW,
  RUN,
  smallStat,
  statPanel,
  type Thresholds,
  timeSeriesPanel,
} from './panels.ts';

/** The dashboard *Training*: is it learning, and has it settled? Only PromQL and panels; the metrics are in page/live/. */

const accepted = (kind: string) =>
  `sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"})` +
  ` - sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"} offset $__interval)`;

/** Mean adjusted Rand index of partitions. */
const AGREEMENT: Thresholds = ['orange', [0.8, 'green']];

const now = [
  statPanel(
    'State',
    'State of the run: starting, running, paused, finishing (the full pass over all rows), done, failed or stopped.',
    { '{{state}}': `max by (state) (dpmesh_run_state{${RUN}}) == 1` },
    { width: 4 },
    'name',
  ),
  smallStat(
    'Clusters (K)',
    'Current number of clusters. Splits raise it, merges lower it.',
    { K: `max(dpmesh_clusters{${RUN}})` },
    { decimals: 0 },
  ),
  smallStat(
    'Epoch',
    'The last completed epoch. A run ends before --max-epochs if splits and merges have settled.',
    { epoch: `max(dpmesh_epoch{${RUN}})` },
    { decimals: 0 },
  ),
  smallStat(
    'Progress to --max-epochs',
    'At 100 % the run ends even if it has not settled.',
    { progress: `max(dpmesh_epoch{${RUN}}) / max(dpmesh_max_epochs{${RUN}})` },
    { unit: units.PercentUnit, min: 0, max: 1 },
  ),
  smallStat(
    'Rows',
    'Rows of the data. All of them get labels in the full pass, whatever the size of the sample.',
    { rows: `max(dpmesh_rows{${RUN}})` },
  ),
  smallStat('Sample', 'Rows used for training: the same ones in every epoch.', {
    rows: `max(dpmesh_sample_rows{${RUN}})`,
  }),
];

const progress = [
  timeSeriesPanel(
    'Clusters over time',
    'K. The marks are accepted splits (blue) and merges (orange). When the line stays level, the run has settled.',
    { K: `max(dpmesh_clusters{${RUN}})` },
    { decimals: 0, width: 10, height: 9, steps: true },
  ),
  asCounts(
    statPanel(
      'How sure K is',
      'Runs with the graph likelihood partition random shares of the sample at the resolution that they use. Agreement: the mean adjusted Rand index of two such partitions, 1 if all have the same clusters, near 0 if what they share is chance. Below it, the least and the largest number of clusters in them. If agreement is low or the range wide, other rows would have given other clusters, and K is one answer of several: see the tree of clusters. No data: the run has Gaussian clusters (then --replicates says how sure K is), or no partitions agree, so that K is 1.',
      {
        agreement: `max(dpmesh_partition_agreement{${RUN}})`,
        'K at least': `max(dpmesh_partition_clusters{${RUN},bound="least"})`,
        'K at most': `max(dpmesh_partition_clusters{${RUN},bound="most"})`,
      },
      { decimals: 2, min: 0, max: 1, width: 4, height: 9, thresholds: AGREEMENT },
      'both',
    ),
    ['K at least', 'K at most'],
  ),
  timeSeriesPanel(
    'Losses',
    'Loss of the clustering net (left axis; none at K = 1) and of the sub-clustering nets (right axis). They fall, and jump where K changes. NaN or infinity raises an alert.',
    {
      clustering: `max(dpmesh_clustering_loss{${RUN}})`,
      'sub-clustering': `max(dpmesh_subclustering_loss{${RUN}})`,
    },
    { unit: units.Short, width: 10, height: 9, rightAxis: 'sub-clustering', min: null },
  ),
];

const encoder = [
  timeSeriesPanel(
    'Encoder: reconstruction error',
    'Only in runs with --encoder. What an auto-encoder loses of its rows, as a share of their variance: 1 is as bad as their mean, 0 is perfect. It falls quickly, then slowly; if it is level long before the end, fewer --encoder-epochs do.',
    { error: `max(dpmesh_encoder_loss{${RUN}})` },
    { unit: units.PercentUnit, height: 4 },
  ),
  smallStat(
    'Encoder passes',
    'Complete passes of the encoder over all rows, of --encoder-epochs.',
    { progress: `max(dpmesh_encoder_epoch{${RUN}}) / max(dpmesh_encoder_max_epochs{${RUN}})` },
    { unit: units.PercentUnit, min: 0, max: 1 },
  ),
  smallStat(
    'Time of a pass',
    'Duration of its last epoch.',
    { seconds: `max(dpmesh_encoder_epoch_seconds{${RUN}})` },
    { unit: units.Seconds },
  ),
  smallStat(
    'Bytes a row',
    'What its weights cost on the network in an epoch, for each row. More --encoder-steps between averages need fewer.',
    { bytes: `max(dpmesh_encoder_bytes_per_row{${RUN}})` },
    { unit: units.BytesIEC },
  ),
];

const changes = [
  timeSeriesPanel(
    'Proposals',
    'Proposed splits and merges by outcome. Nearly all are refused once K has settled.',
    {
      '{{kind}} {{outcome}}': `sum by (kind, outcome) (increase(dpmesh_proposals_total{${RUN}}${RATE_WINDOW}))`,
    },
    { width: 8, events: true },
  ),
  timeSeriesPanel(
    'Acceptance rate',
    'Accepted fraction of all proposals of the run so far. Falls towards 0 as K settles; splits that merges undo keep it up.',
    {
      '{{kind}}':
        `sum by (kind) (dpmesh_proposals_total{${RUN},outcome="accepted"})` +
        ` / clamp_min(sum by (kind) (dpmesh_proposals_total{${RUN}}), 1)`,
    },
    { unit: units.PercentUnit, max: 1, width: 8 },
  ),
  timeSeriesPanel(
    'Best log-ratio',
    'Log Hastings ratio of the best proposal of the last step. Above 0 (dashed) it is certain to be accepted; far below 0, never. Far below 0 for both: K has settled.',
    { '{{kind}}': `max by (kind) (dpmesh_best_log_ratio{${RUN}})` },
    {
      unit: units.Short,
      width: 8,
      thresholds: ['blue', [0, 'green']],
      steps: true,
      min: null,
    },
  ),
];

const sizes = [
  timeSeriesPanel(
    'Cluster sizes over time',
    'Rows of the sample in each cluster (soft counts), stacked, for the first 200 clusters. A split divides a band.',
    { 'cluster {{cluster}}': `max by (cluster) (dpmesh_cluster_rows{${RUN}})` },
    { unit: units.Short, height: 9, stacked: true, steps: true, hideLegend: true },
  ),
  barChart(
    'Cluster sizes now',
    'Rows of the sample in each cluster (soft counts), largest first, for the first 200 clusters.',
    { '': `sort_desc(max by (cluster) (dpmesh_cluster_rows{${RUN}}))` },
    { unit: units.Short, min: 0, width: 12, height: 9 },
    'cluster',
  ),
  timeSeriesPanel(
    'Smallest, mean and largest cluster',
    'Rows of the sample, on a logarithmic axis. A cluster near 0 will be merged.',
    {
      smallest: `min(dpmesh_cluster_rows{${RUN}})`,
      mean: `avg(dpmesh_cluster_rows{${RUN}})`,
      largest: `max(dpmesh_cluster_rows{${RUN}})`,
    },
    { unit: units.Short, log: true, steps: true, min: null },
  ),
  barGauge(
    'Largest cluster weights',
    'The ten largest weights π of the mixture.',
    { 'cluster {{cluster}}': `sort_desc(topk(10, max by (cluster) (dpmesh_cluster_weight{${RUN}})))` },
    { unit: units.PercentUnit, min: 0, max: 1, width: 12 },
  ),
];

const updates = [
  smallStat(
    'Update',
    'Only in updates of a run (dpmesh update): which one this is, from 1.',
    { update: `max(dpmesh_update{${RUN}})` },
    { decimals: 0, height: 8 },
  ),
  statPanel(
    'Drift alarms',
    'How new rows differ from earlier ones by more than chance, and so that it matters: unlike (over 2 % are less likely than 99 % of the earlier ones), less_likely (by more than .1 nats a row), shares (over 10 % would have to change clusters for these to have the same shares as before), residual (the encoder leaves 10 % more of them). Any of them raises an alert, which says what to do.',
    { '{{alarm}}': `max by (alarm) (dpmesh_drift_alarm{${RUN}})` },
    { decimals: 0, width: 4, height: 8, thresholds: EXPECT_ZERO },
    'both',
  ),
  timeSeriesPanel(
    'How new rows differ',
    'From earlier ones, under the clusters before the update. unlikely: the share that is less likely than 99 % of the earlier rows, .01 if nothing has changed. moved: the share that would have to change clusters for these to have the same shares as before. nats (right axis): by how much the mean row is less likely; below 0 it is more likely.',
    {
      unlikely: `max(dpmesh_drift_unlikely_ratio{${RUN}})`,
      moved: `max(dpmesh_drift_moved_ratio{${RUN}})`,
      nats: `max(dpmesh_drift_nats{${RUN}})`,
    },
    { unit: units.Short, width: 8, steps: true, min: null, rightAxis: 'nats' },
  ),
  timeSeriesPanel(
    'What became of clusters',
    'Clusters that updates found new (born), split from others, merged into others, gone, or returned. lineage.json has their ids.',
    { '{{what}}': `sum by (what) (dpmesh_lineage_total{${RUN}})` },
    { decimals: 0, width: 8, steps: true },
  ),
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
      ['Updates', updates],
    ],
  });
