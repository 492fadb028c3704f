import { counted } from '../../base/quantities.ts';
import { currentK, type RunHistory } from '../../run/history.ts';
import {
  alternationsText,
  cameBackText,
  certaintyText,
  evidenceText,
  type Summary,
} from '../../run/summary.ts';
import { isOver, type Outcome, type RunInfo } from './api.ts';
import { type ClusterTable, nonEmpty } from './cluster-table.ts';
import { compactCount, count, duration, escaped, splitCamelCase, stopwatch, threeDigits } from './text.ts';

/** The panels of numbers and names, as HTML: at the top, the configuration, the result, tables of pairs. */

/** The numbers at the top of the page. `workers`: connected ones; `time`: seconds since the run began; `result`: once it is done. */
interface TopNumbers {
  run: RunInfo;
  history: RunHistory;
  workers: number;
  time: number;
  result: Summary | null;
  view: Pick<ClusterTable, 'counted' | 'clusters'> | null;
}

/** K of the result; before, the clusters of all rows once these are labelled; before, the components that are trained. */
export const kNow = ({ history, result, view }: Pick<TopNumbers, 'history' | 'result' | 'view'>) =>
  result?.k ?? (view?.counted ? nonEmpty(view.clusters.map(({ rows }) => rows)).length : currentK(history));

const score = (value: number | null | undefined) => value?.toFixed(4) ?? '';

export function topNumbers(numbers: TopNumbers): string {
  const { run, history, workers, time, result } = numbers;
  const { epochs, events } = history;
  const started = events.findLast((event) => event.type === 'start');
  const done = events.findLast((event) => event.type === 'done');
  const certainty = certaintyText(result ?? done ?? {});
  // Before the first epoch, an encoder may be training.
  const encoder = epochs.epoch.length
    ? undefined
    : events.findLast((event) => event.type === 'encoder-epoch');
  const outliers = result?.outliers ?? done?.outliers;
  const apart = [
    ...(outliers ? [`${compactCount(outliers)} outliers`] : []),
    ...(result?.noise ? [`${compactCount(result.noise)} noise`] : []),
  ];
  const tiles: [id: string, name: string, value: string, detail?: string][] = [
    ['k', 'Clusters', count(kNow(numbers)), certainty && `(${certainty})`],
    ['nmi', 'NMI', score(result?.nmi)],
    ['ari', 'ARI', score(result?.ari)],
    ['acc', 'ACC', score(result?.acc)],
    ['silhouette', 'Silhouette', score(result?.silhouette)],
    encoder
      ? ['epoch', 'Epoch', count(encoder.epoch), `of ${count(encoder.of)} of the encoder`]
      : ['epoch', 'Epoch', count(epochs.epoch.at(-1) ?? result?.epochs), `of ${count(run.config.maxEpochs)}`],
    ['loss', 'Loss', threeDigits(encoder ? encoder.loss : epochs.loss.at(-1))],
    ['sub-loss', 'Sub-loss', threeDigits(epochs.subLoss.findLast((value) => value !== null))],
    ['rows', 'Rows', compactCount(run.data.rows), [`× ${run.data.dim}`, ...apart].join(', ')],
    ['sample', 'Sample', compactCount(started?.sample ?? run.data.sample)],
    // When it is over, they have left.
    ['workers', 'Workers', count(workers || result?.workers)],
    ['time', 'Time', result ? duration(result.seconds) : stopwatch(time)],
  ];
  const htmlOf = ([id, name, value, detail]: (typeof tiles)[number]) =>
    `<div${id === 'k' ? ' class="lead"' : ''}><dt>${name}</dt><dd id="now-${id}">${escaped(value)}${detail ? ` <small>${escaped(detail)}</small>` : ''}</dd></div>`;
  return tiles
    .filter(([, , value]) => value)
    .map(htmlOf)
    .join('');
}

/** What is good or bad in scores. */
export const scoreLegend = ({ nmi, silhouette }: Summary): string =>
  [
    nmi !== null &&
      'NMI, ARI and ACC: agreement with the true classes; 1 is the same, near 0 is chance (of ACC, the share of the largest class).',
    silhouette !== null &&
      'Silhouette: how much nearer rows are to their own cluster than to the next, from −1 to 1. Above 0.5 clusters are well apart; near 0 they touch, which is usual for embeddings of many columns.',
    'Loss: of the clustering net, by default near 0 once it has learned the clusters.',
  ]
    .filter(Boolean)
    .join(' ');

/** Options that are off without a value; the others without one follow from the data. */
const OFF = new Set([
  'labels',
  'drop',
  'id',
  'text',
  'impute',
  'categorical',
  'logarithm',
  'replicates',
  'outliers',
]);

/** The resolved configuration, the data, and what `more` says of the run. */
export function configEntries({ config, data, out }: RunInfo, more: readonly Entry[] = []): string {
  const options = Object.entries(config)
    .filter(([name]) => name !== 'data')
    .map(([name, value]): Entry => [splitCamelCase(name), valueText(name, value)]);
  return definitions([
    ['data', data.path],
    ['rows × dimensions', `${count(data.rows)} × ${data.dim}`],
    ...options,
    ...more,
    // The report of an estimator of Python is all that is left of its run.
    ...(out ? [['results', out] as const] : []),
  ]);
}

function valueText(option: string, value: unknown): string {
  if (value == null) return option === 'columns' ? 'all' : OFF.has(option) ? 'none' : 'automatic';
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** The versions in use. */
export const versionsText = ({ versions, identity }: RunInfo): string =>
  [
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    ...(identity ? [identity] : []),
  ].join(' · ');

/** The scores of a run that is done, and where its results are. */
export function outcomeEntries({ result, directory, report }: Outcome, config: RunInfo['config']): string {
  const certainty = certaintyText(result);
  const parquet = config.labelsParquet === true ? ', labels.parquet' : '';
  const entries: Entry[] = [
    ['clusters (K)', certainty ? `${result.k} (${certainty})` : String(result.k)],
    ['evidence for K', evidenceText(result.evidence)],
    ['came back', cameBackText(result.replicates) ?? ''],
    ['alternations', result.alternations ? alternationsText(result.alternations) : ''],
    ['NMI', score(result.nmi)],
    ['ARI', score(result.ari)],
    ['ACC', score(result.acc)],
    ['silhouette', score(result.silhouette)],
    ['loss', score(result.loss)],
    ['outliers', result.outliers ? count(result.outliers) : ''],
    ['noise', result.noise ? `${count(result.noise)} rows` : ''],
    ['epochs', result.epochs === undefined ? '' : count(result.epochs)],
    ['rounds', result.rounds === undefined ? '' : count(result.rounds)],
    ['training', duration(result.seconds)],
    ['results', directory],
    ['labels', directory && `${directory}/labels.npy, labels.csv${parquet}`],
    ['report', directory && (report ?? '')],
  ];
  return definitions(entries.filter(([, value]) => value));
}

/** How a run ended, and how it goes on from there; empty before that. */
export function endText({ status, out }: Pick<RunInfo, 'status' | 'out'>, { epochs }: RunHistory): string {
  if (!isOver(status)) return '';
  const epoch = epochs.epoch.at(-1);
  const after = epoch ? ` after ${counted(epoch, 'epoch')}` : '';
  if (status === 'done')
    return `The run finished${after}. The page shows its final state${out ? `; dpmesh view ${out} opens it again` : ''}.`;
  if (status === 'stopped')
    return `The run was stopped${after}; dpmesh resume ${out} continues it. The page shows its last state.`;
  return `The run failed${after}; its terminal shows the reason. The page shows its last state.`;
}

export type Entry = readonly [name: string, value: string];

const definitions = (entries: readonly Entry[]): string =>
  entries.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`).join('');

/** Items of a list. */
export const listItems = (texts: readonly string[]): string =>
  texts.map((text) => `<li>${escaped(text)}</li>`).join('');

/** A table of words. `heads` of numbers are from the second column on. */
export function plainTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map(
    ([first, ...others]) =>
      `<tr><th scope="row">${escaped(first)}</th>${others.map((text) => `<td class="n">${escaped(text)}</td>`).join('')}</tr>`,
  );
  return `<thead><tr>${headCells(heads)}</tr></thead><tbody>${cells.join('\n')}</tbody>`;
}

const headCells = (heads: readonly string[]) =>
  heads.map((name, i) => `<th scope="col"${i ? ' class="n"' : ''}>${escaped(name)}</th>`).join('');

/** Rows in each pair of a cluster and another cluster or class: the darker, the larger a part of its line. */
export function pairsTable(
  corner: string,
  lines: readonly string[],
  columns: readonly string[],
  counts: readonly number[][],
): string {
  const body = lines.map((name, i) => {
    const size = counts[i].reduce((sum, cell) => sum + cell, 0) || 1;
    const cells = counts[i].map(
      (cell) => `<td class="n s${Math.ceil((10 * cell) / size)}">${cell ? count(cell) : ''}</td>`,
    );
    return `<tr><th scope="row">${escaped(name)}</th>${cells.join('')}</tr>`;
  });
  return `<thead><tr>${headCells([corner, ...columns])}</tr></thead><tbody>${body.join('\n')}</tbody>`;
}
