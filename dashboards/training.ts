import * as units from '@grafana/grafana-foundation-sdk/units';
import { frame, LATELY, RUN } from './frame.ts';
import { columns, course, figure, type Look, levels, NEUTRAL } from './panels.ts';

const small = (look: Omit<Look, 'width' | 'limits'>) => figure({ width: 4, limits: NEUTRAL, ...look });

const accepted = (kind: string) =>
  `sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"})` +
  ` - sum(dpmesh_proposals_total{${RUN},kind="${kind}",outcome="accepted"} offset $__interval)`;

const now = [
  figure(
    {
      title: 'State',
      about:
        'Of the run: starting, running, paused, finishing (the last reading of all rows), done, failed or stopped.',
      unit: units.Short,
      width: 4,
      limits: NEUTRAL,
      queries: [[`max by (state) (dpmesh_run_state{${RUN}}) == 1`, '{{state}}']],
    },
    'name',
  ),
  small({
    title: 'Clusters (K)',
    about: 'How many clusters there are at present; it rises by splits and falls by merges.',
    unit: units.Short,
    decimals: 0,
    queries: [[`max(dpmesh_clusters{${RUN}})`, 'K']],
  }),
  small({
    title: 'Epoch',
    about:
      'The last epoch that ended. A run ends earlier than --max-epochs where K and the losses have settled.',
    unit: units.Short,
    decimals: 0,
    queries: [[`max(dpmesh_epoch{${RUN}})`, 'epoch']],
  }),
  small({
    title: 'Share of --max-epochs',
    about: 'At 100 % the run ends even if it has not settled.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    queries: [[`max(dpmesh_epoch{${RUN}}) / max(dpmesh_max_epochs{${RUN}})`, 'share']],
  }),
  small({
    title: 'Rows',
    about: 'Of the data. All of them get labels in the last reading, whatever the sample.',
    unit: units.Short,
    queries: [[`max(dpmesh_rows{${RUN}})`, 'rows']],
  }),
  small({
    title: 'Sample',
    about: 'Rows that are trained on: the same ones in every epoch.',
    unit: units.Short,
    queries: [[`max(dpmesh_sample_rows{${RUN}})`, 'rows']],
  }),
];

const progress = [
  course(
    {
      title: 'Clusters over time',
      about:
        'K. The marks are splits (blue) and merges (orange) that were accepted. A run has settled when it is level.',
      unit: units.Short,
      decimals: 0,
      min: 0,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [[`max(dpmesh_clusters{${RUN}})`, 'K']],
    },
    { steps: true },
  ),
  course(
    {
      title: 'Losses',
      about:
        'Of the clustering net (left axis; none at K = 1) and of the sub-clustering nets (right axis). They fall, and jump where K changes. NaN or infinite raises an alert.',
      unit: units.Short,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [
        [`max(dpmesh_clustering_loss{${RUN}})`, 'clustering'],
        [`max(dpmesh_subclustering_loss{${RUN}})`, 'sub-clustering'],
      ],
    },
    { right: 'sub-clustering' },
  ),
];

const changes = [
  course(
    {
      title: 'Proposals',
      about:
        'Splits and merges that were tried, by what became of them. Nearly all are refused once K has settled.',
      unit: units.Short,
      min: 0,
      width: 8,
      limits: NEUTRAL,
      queries: [
        [
          `sum by (kind, outcome) (increase(dpmesh_proposals_total{${RUN}}${LATELY}))`,
          '{{kind}} {{outcome}}',
        ],
      ],
    },
    { bars: true, stacked: true },
  ),
  course({
    title: 'Accepted share',
    about:
      'Of all proposals of the run until then. It falls towards 0 as K settles; splits undone by merges keep it up.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    width: 8,
    limits: NEUTRAL,
    queries: [
      [
        `sum by (kind) (dpmesh_proposals_total{${RUN},outcome="accepted"})` +
          ` / clamp_min(sum by (kind) (dpmesh_proposals_total{${RUN}}), 1)`,
        '{{kind}}',
      ],
    ],
  }),
  course(
    {
      title: 'Best log-ratio',
      about:
        'log H of the best proposal of the last step. Above 0 (dashed) it is sure to be accepted; far below, never. Far below for both: K has settled.',
      unit: units.Short,
      width: 8,
      limits: [
        [null, 'blue'],
        [0, 'green'],
      ],
      queries: [[`max by (kind) (dpmesh_best_log_ratio{${RUN}})`, '{{kind}}']],
    },
    { steps: true },
  ),
];

const sizes = [
  course(
    {
      title: 'Cluster sizes over time',
      about:
        'Rows of the sample in each cluster, one on the other: soft counts, the first 200 clusters. A split divides a band.',
      unit: units.Short,
      min: 0,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [[`max by (cluster) (dpmesh_cluster_rows{${RUN}})`, 'cluster {{cluster}}']],
    },
    { stacked: true, steps: true, many: true },
  ),
  columns(
    {
      title: 'Cluster sizes now',
      about: 'Rows of the sample in each cluster, the largest first: soft counts, the first 200 clusters.',
      unit: units.Short,
      min: 0,
      width: 12,
      height: 9,
      limits: NEUTRAL,
      queries: [[`sort_desc(max by (cluster) (dpmesh_cluster_rows{${RUN}}))`, '']],
    },
    'cluster',
  ),
  course(
    {
      title: 'Smallest, mean and largest cluster',
      about: 'Rows of the sample, on a logarithmic axis. A cluster near 0 will be absorbed.',
      unit: units.Short,
      width: 12,
      limits: NEUTRAL,
      queries: [
        [`min(dpmesh_cluster_rows{${RUN}})`, 'smallest'],
        [`avg(dpmesh_cluster_rows{${RUN}})`, 'mean'],
        [`max(dpmesh_cluster_rows{${RUN}})`, 'largest'],
      ],
    },
    { log: true, steps: true },
  ),
  levels({
    title: 'Heaviest clusters',
    about: 'Weights π of the mixture, the ten largest.',
    unit: units.PercentUnit,
    min: 0,
    max: 1,
    width: 12,
    limits: NEUTRAL,
    queries: [
      [`sort_desc(topk(10, max by (cluster) (dpmesh_cluster_weight{${RUN}})))`, 'cluster {{cluster}}'],
    ],
  }),
];

/** What a run learns: K, losses, proposals, clusters. */
export const training = () =>
  frame({
    uid: 'dpmesh-training',
    title: 'Training',
    about: 'What a run of dpmesh learns: the number of clusters, losses, splits and merges, cluster sizes.',
    marks: [
      { name: 'Splits', colour: 'blue', expr: accepted('split'), text: 'split' },
      { name: 'Merges', colour: 'orange', expr: accepted('merge'), text: 'merge' },
    ],
    rows: [
      ['Now', now],
      ['Progress', progress],
      ['Splits and merges', changes],
      ['Clusters', sizes],
    ],
  });
