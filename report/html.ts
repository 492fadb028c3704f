import { kebabCase } from '../base/text.ts';
import {
  type ClusterRow,
  type ClusterTable,
  legend,
  neighboursText,
  nonEmpty,
  separationText,
} from '../view/cluster-table.ts';
import { labelFiles, unsetText } from '../view/config-text.ts';
import { counted } from '../view/counted.ts';
import type { ReportData } from '../view/report-data.ts';
import { certaintyText, type Summary } from '../view/summary.ts';
import { descriptionSection } from './cluster-cards.ts';
import type { ReportContents } from './contents.ts';
import { markerPath, markerStyle } from './markers.ts';
import { numbersOf } from './numbers.ts';
import { type PageScript, pageScript } from './script.ts';
import { STYLE } from './style.ts';
import { escaped, significant } from './svg.ts';

/** report.html: a single file without external resources. Its script only adds to it: all is there without. */

/** Where a picture stands: of the clusters, of how these relate to each other and to classes, or of how they were found. */
export type ReportPart = 'clusters' | 'relations' | 'training';

export interface CaptionedPicture {
  name: string;
  part: ReportPart;
  svg: string;
  title: string;
  caption: string;
  /** What stands below the caption. */
  below?: FigureTable;
}

export interface FigureTable {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  /** What the columns mean. */
  legend: string;
}

/** Config values with more characters than this get a line of their own. */
const LONG = 24;

/** `script`: null without. */
export function reportPage(
  contents: ReportContents,
  figures: CaptionedPicture[],
  script: PageScript | null = pageScript(),
): string {
  const { name, run, notes, table, descriptions, exemplars } = contents;
  const { rows, dim } = run.data;
  const figuresOf = (part: ReportPart, label: string) => {
    const own = figures.filter((figure) => figure.part === part);
    if (!own.length) return '';
    return `<section class="figures" aria-label="${label}">\n${own.map(figureHtml).join('\n')}\n</section>`;
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:${script ? `; script-src ${script.source}` : ''}">
<title>${escaped(name)} · dpmesh</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escaped(name)}</h1>
<p>${escaped(headline(contents))}</p>
</header>
<main>
${noteList(notes)}
${noteList(run.result?.notes ?? [])}
${tiles(contents)}
${figuresOf('clusters', 'Pictures of the clusters')}
${table ? clusterSection(table, run.likelihood?.name === 'graph') : ''}
${descriptions ? descriptionSection(descriptions, table, exemplars) : ''}
${figuresOf('relations', 'How clusters relate')}
${figuresOf('training', 'Training')}
<section><h2>Config</h2>
${configTable(run.config)}
</section>
<section><h2>Run</h2>
${definitions([
  ['data', `${rows.toLocaleString('en')} rows × ${dim}, ${run.data.dtype}`],
  ['fingerprint', run.data.fingerprint],
  ...likelihoodOf(run),
  ['numeric identity', run.identity ?? '–'],
  ...Object.entries(run.versions).map(([what, version]): [string, string] => [what, version]),
])}
</section>
${resultSection(contents)}
</main>
${script ? scriptTags(contents, script) : ''}
</body>
</html>
`;
}

/** The scores once more, and where the results are. */
function resultSection({ run: { result, config } }: ReportContents): string {
  if (!result) return '';
  const scores = (['nmi', 'ari', 'acc', 'silhouette'] as const).flatMap((name): [string, string][] => {
    const value = result[name];
    return value === null ? [] : [[name === 'silhouette' ? name : name.toUpperCase(), value.toFixed(4)]];
  });
  return `<section><h2>Result</h2>
${definitions([
  ['clusters (K)', String(result.k)],
  ...scores,
  ['results', result.out],
  ['labels', `${result.out}/${labelFiles(config)}`],
  ['report', `${result.out}/report/report.html`],
])}
</section>`;
}

/** What the script reads is in a block of data, which no browser runs. */
function scriptTags(contents: ReportContents, { code }: PageScript): string {
  const data: ReportData = {
    name: contents.name,
    numbers: numbersOf(contents),
    clusters: [...(contents.details ?? new Map()).values()],
    rows: contents.table?.clusters.map(({ rows }) => rows) ?? [],
    nearest: contents.table?.clusters.map(({ nearest }) => neighboursText(nearest)) ?? [],
  };
  const json = JSON.stringify(data).replaceAll('<', '\\u003c');
  return `<script type="application/json" id="data">${json}</script>\n<script>${code}</script>`;
}

function likelihoodOf({ likelihood }: ReportContents['run']): [string, string][] {
  if (!likelihood) return [];
  const { name, why, resolution, stability } = likelihood;
  const found = [
    ...(resolution === undefined ? [] : [`resolution γ ${significant(resolution)}`]),
    ...(stability === undefined
      ? []
      : [stability === null ? 'no partition is stable' : `stability ${stability.toFixed(2)}`]),
  ];
  return [['likelihood', `${name}: ${[why, ...found].join('; ')}`]];
}

const noteList = (notes: string[]) =>
  notes.length ? `<ul class="notes">${notes.map((note) => `<li>${escaped(note)}</li>`).join('')}</ul>` : '';

function headline({ run, epoch, history }: ReportContents): string {
  const { rows, dim } = run.data;
  const data = `${rows.toLocaleString('en')} rows × ${dim}`;
  if (run.result) {
    const { k } = run.result;
    const certainty = certaintyText(run.result);
    return `${counted(k, 'cluster')}${certainty && ` (${certainty})`} in ${data}`;
  }
  const k = history?.epochs.at(-1)?.k;
  const at = epoch ?? history?.epochs.at(-1)?.epoch;
  return `${data}; not finished${at === undefined ? '' : `, epoch ${at}`}${k === undefined ? '' : `, ${counted(k, 'cluster')}`}`;
}

/** Why training ended, in short. */
const ENDS: Record<string, string> = { settled: 'settled', 'max-epochs': 'limit reached', asked: 'as asked' };

function tiles({ run: { result }, history }: ReportContents): string {
  if (!result) return '';
  const score = (value: number | null) => (value === null ? null : value.toFixed(4));
  const entries: [string, string | null, string?][] = [
    ['clusters', String(result.k)],
    ['NMI', score(result.nmi)],
    ['ARI', score(result.ari)],
    ['ACC', score(result.acc)],
    ['silhouette', score(result.silhouette)],
    ['loss', score(result.loss)],
    ['outliers', result.outliers ? result.outliers.toLocaleString('en') : null],
    ['epochs', result.epochs.toLocaleString('en'), history?.ended ? ENDS[history.ended] : undefined],
    ['rounds', result.rounds.toLocaleString('en')],
    ['workers', String(result.workers)],
    ['training', `${result.seconds.toFixed(result.seconds < 100 ? 2 : 0)} s`],
  ];
  const shown = entries.filter(([, value]) => value !== null);
  return `<dl class="tiles">${shown
    .map(
      ([name, value, remark]) =>
        `<div><dt>${name}</dt><dd>${value}${remark ? ` <small>${remark}</small>` : ''}</dd></div>`,
    )
    .join('')}</dl>
<p class="legend">${scoreLegend(result)}</p>`;
}

/** What is good or bad. */
const scoreLegend = ({ nmi, silhouette }: Summary): string =>
  [
    nmi !== null &&
      'NMI, ARI and ACC: agreement with the true classes; 1 is the same, near 0 is chance (of ACC, the share of the largest class).',
    silhouette !== null &&
      'Silhouette: how much nearer rows are to their own cluster than to the next, from −1 to 1; above 0.5 clusters stand well apart, near 0 they touch, as those of embeddings of many columns mostly do.',
    'Loss: of the clustering net, by default near 0 once it has learned the clusters. Rounds: exchanges with all workers.',
  ]
    .filter(Boolean)
    .join(' ');

const figureHtml = ({ name, svg, title, caption, below }: CaptionedPicture) =>
  `<figure data-picture="${name}">\n<h2>${escaped(title)}</h2>\n${svg}<figcaption>${escaped(caption)}</figcaption>\n${below ? figureTable(below) : ''}</figure>`;

const figureTable = ({ title, columns, rows, legend }: FigureTable) =>
  `<h3>${escaped(title)}</h3>
<div class="wide" tabindex="0" role="region" aria-label="${escaped(title)}"><table>
<thead><tr>${columns.map((name) => `<th scope="col">${escaped(name)}</th>`).join('')}</tr></thead>
<tbody>
${rows.map(([first, ...cells]) => `<tr><th scope="row">${escaped(first)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`).join('\n')}
</tbody></table></div>
<p class="legend">${escaped(legend)}</p>
`;

/** `isGraph`: splits are judged by what they gain in the graph. */
function clusterSection(table: ClusterTable, isGraph: boolean): string {
  const shown = nonEmpty(table.clusters.map(({ rows }) => rows));
  const rows = table.clusters.reduce((sum, cluster) => sum + cluster.rows, 0);
  const columns = [
    'cluster',
    'rows',
    'share',
    ...(isGraph ? [] : ['weight π']),
    'spread',
    'nearest',
    'separation',
    isGraph ? 'gain of a split' : 'log H of a split',
  ];
  return `<section><h2>Table of clusters</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of clusters"><table>
<thead><tr>${columns.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>
${shown.map((cluster) => clusterRow(cluster, table.clusters[cluster], rows, isGraph)).join('\n')}
</tbody></table></div>
<p class="legend">${legend(table)} ${isGraph ? 'Gain' : 'log H'}: ${isGraph ? 'in the graph’s objective (docs/algorithm.md, section 11),' : 'log Hastings ratio, the evidence'} for splitting the cluster in two, from the last split step, if no cluster has changed since; below ${isGraph ? '0 it is not split' : 'about 0 a split is unlikely'}.</p>
</section>`;
}

function clusterRow(cluster: number, row: ClusterRow, total: number, isGraph: boolean): string {
  const { colour, shape } = markerStyle(cluster);
  const swatch = `<svg class="swatch" viewBox="-8 -8 16 16" width="14" height="14" aria-hidden="true"><path d="M0 0${markerPath(shape, 6)}" fill="${colour}"/></svg>`;
  const [nearest] = row.nearest;
  const cells = [
    Math.round(row.rows).toLocaleString('en'),
    `${((100 * row.rows) / total).toFixed(2)} %`,
    // With the graph, that is the share.
    ...(isGraph ? [] : [row.weight.toFixed(4)]),
    significant(row.spread),
    nearest ? String(nearest.cluster) : '–',
    nearest ? separationText(nearest) : '–',
    row.logRatio === null ? '–' : significant(row.logRatio),
  ];
  return `<tr data-cluster="${cluster}"><th scope="row">${swatch}${cluster}</th>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
}

function configTable(config: Record<string, unknown>): string {
  return definitions(
    Object.entries(config).map(([key, value]) => [
      `--${kebabCase(key)}`,
      value === null
        ? unsetText(key, 'chosen from the data')
        : Array.isArray(value)
          ? value.join(',')
          : String(value),
    ]),
  );
}

const definitions = (entries: [string, string][]) =>
  `<dl class="pairs">${entries
    .map(
      ([name, value]) =>
        `<div${value.length > LONG ? ' class="long"' : ''}><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`,
    )
    .join('')}</dl>`;
