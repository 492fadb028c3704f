import { counted } from '../../base/quantities.ts';
import type { TellingColumn } from '../../model/description/names.ts';
import { type ClusterDetails, type Described, type NamedRow, nameText } from '../../run/described.ts';
import type { RowContent } from './api.ts';
import { type ClusterTable, hasComponents, type Neighbour } from './cluster-table.ts';
import { swatch } from './svg.ts';
import { columnTexts, count, escaped, logRatioText, percent, significant } from './text.ts';

/** The clusters of a run as HTML: as a table, and as cards with what clusters.json of the run directory tells of them. */

/** Explanation of the columns, for people. */
export const legend = ({ counted, isUpdate, clusters }: ClusterTable): string =>
  [
    `Rows: ${!counted ? 'soft counts in the training sample' : isUpdate ? 'all rows so far, by the sample' : 'all rows of the data, by their label'}.`,
    'Spread: root mean square of the standard deviations over all axes, in units of the transformed data.',
    'Nearest: the least separated cluster, and the distance between both centres in sums of their standard deviations that way; below 1 the two hardly differ.',
    ...(clusters.some(hasComponents)
      ? [
          'A cluster of another shape has several components, of which the one nearest to the other cluster counts.',
        ]
      : []),
    'Split: what speaks for splitting it in two (a log Hastings ratio, or what the graph likelihood gains); above 0 it would be split.',
  ].join(' ');

/** What the page adds to a row. */
interface RowLooks {
  /** Of its marker. */
  colour?: string;
  /** The group that it is joined in. */
  group?: string | null;
  /** What it is called; empty where that is its number. */
  name?: string;
  /** Words by which it is found. */
  words?: string;
}

/** The rows of the table, of the clusters that have any. Their cells are compared by `data-value` where they are sorted. */
export function tableRows(
  { clusters }: ClusterTable,
  looks: (cluster: number) => RowLooks = () => ({}),
): string {
  const total = clusters.reduce((sum, { rows }) => sum + rows, 0);
  const most = clusters.reduce((largest, { rows }) => Math.max(largest, rows), 0) || 1;
  const spreads = columnTexts(clusters.map(({ spread }) => spread));
  return clusters
    .map(({ id, rows, nearest: [nearest], logRatio }, c) => {
      const { colour, group, name: called = '', words = '' } = looks(c);
      const name = `Cluster ${id}${called && `, ${called}`}${group ? `, joined as ${group}` : ''}`;
      const bar = `<svg class="bar" viewBox="0 0 40 8" width="40" height="8" aria-hidden="true"><rect width="${((40 * rows) / most).toFixed(1)}" height="8"/></svg>`;
      return `<tr data-cluster="${c}"${words && ` title="${escaped(words)}"`}><th scope="row" data-value="${id}"><button type="button" class="cluster small" tabindex="-1" aria-pressed="false" aria-label="${escaped(name)}">${swatch(id, colour)}<span>${id}</span></button>${called && `<bdi>${escaped(called)}</bdi>`}</th>${[
        count(rows),
        `${bar}<span>${percent(total ? rows / total : 0)}</span>`,
        spreads[c],
      ]
        .map((cell) => `<td class="n">${cell}</td>`)
        .join('')}${
        nearest
          ? `<td class="n" data-value="${separationText(nearest)}">${nearest.cluster} · ${separationText(nearest)}</td>`
          : '<td class="n">–</td>'
      }<td class="n${(logRatio ?? 0) > 0 ? ' growing' : ''}">${logRatioText(logRatio)}</td></tr>`;
    })
    .join('\n');
}

/** Clusters with a smaller separation are hardly two: together they have one mode. */
const LEAST_SEPARATION = 1;
/** Of the nearest clusters so many are named. */
const MOST_NAMED = 3;

/** Such as `3 (1.2), 5 (2.0)`, or `3 low income (0.7: they hardly differ); 5 (2.0)`. */
export function neighboursText(
  nearest: readonly Neighbour[],
  nameOf: (cluster: number) => string = () => '',
): string {
  const texts = nearest.map((one, i) => {
    const name = i < MOST_NAMED ? nameOf(one.cluster) : '';
    const warning = one.separation < LEAST_SEPARATION ? ': they hardly differ' : '';
    return `${one.cluster}${name && ` ${name}`} (${separationText(one)}${warning})`;
  });
  return texts.join(nearest.some(({ cluster }) => nameOf(cluster)) ? '; ' : ', ');
}

/** With one decimal; large values are capped. */
export const separationText = ({ separation }: Neighbour) =>
  separation < 100 ? separation.toFixed(1) : '> 99';

/** The telling words of a cluster, by which it is found; empty where there are none. */
export const wordsText = (details: ClusterDetails | undefined): string =>
  (details?.words ?? []).map(({ word }) => word).join(', ');

function treeSentences({ join, split }: NonNullable<ClusterDetails['evidence']>): string[] {
  const parts = split?.sizes.map((rows) => rows.toLocaleString('en')).join(' and ');
  return [
    ...(join ? [`joins ${join.clusters.join(', ')} at ${significant(join.height)}`] : []),
    ...(split ? [`would split into ${parts} rows at ${significant(split.height)}`] : []),
  ];
}

/** Of the columns, rows and numbers of rows of a cluster, so many are shown; and so many cards, unless one asks for the others. */
const [SHOWN_COLUMNS, SHOWN_ROWS, SHOWN_NUMBERS, SHOWN_CARDS] = [5, 10, 5, 30];
/** Smaller differences are not, in standard deviations. */
const LEAST_DIFFERENCE = 0.1;

/** What a card says beside its details. */
interface CardInput {
  /** Its label. */
  cluster: number;
  rows: number | null;
  share: number | null;
  /** The nearest clusters. */
  nearest: string;
  /** As `clusters.json` has them; null without. */
  details: ClusterDetails | null;
  /** Rows of a sample that are in it, for want of details. */
  sampled: readonly number[];
  /** The image of a row, as HTML; null: there is none, or it is not known. */
  image(row: number): string | null;
}

/** All rows that a card shows, in order. */
export function rowsOfCard({ details, sampled }: Pick<CardInput, 'details' | 'sampled'>): number[] {
  if (!details) return sampled.slice(0, SHOWN_ROWS);
  const shown = [details.exemplars, details.border].flatMap((rows) => rows.slice(0, SHOWN_ROWS));
  return shown.map(({ row }) => row);
}

/** What is known of a cluster, as HTML. Of images and texts, columns without a name mean nothing, nor do numbers of rows. */
export function clusterCard({ cluster, rows, share, nearest, details, sampled, image }: CardInput): string {
  const about = [rows !== null && counted(Math.round(rows), 'row'), share !== null && percent(share)];
  const row = (one: NamedRow, more = '') => {
    const picture = image(one.row);
    const name = (picture && one.id) ?? nameOf(one);
    return `<span class="row" title="${escaped(nameOf(one))}">${picture ?? ''}<span>${escaped(name + more)}</span></span>`;
  };
  const areImages = rowsOfCard({ details, sampled }).some((one) => image(one) !== null);
  const { texts = [], exemplars = [], border = [], telling = [], evidence } = details ?? {};
  const areSeen = <Row extends NamedRow>(all: readonly Row[]) => {
    const pictured = all.slice(0, SHOWN_ROWS).filter((one) => image(one.row) !== null);
    if (pictured.length) return pictured;
    return all.slice(0, SHOWN_NUMBERS).filter((one) => areImages || isTold(one, texts));
  };
  const isOther = ({ row }: NamedRow) => !exemplars.some((one) => one.row === row);
  const [words, name] = [wordsText(details ?? undefined), nameText(details ?? undefined)];
  const columns = details ? contrastsShown(details, areImages) : [];
  const entries: [string, string[]][] = [
    ['words', words ? [escaped(words)] : []],
    ['typical texts', texts.map((one) => escaped(`“${one}”`))],
    ['columns that tell it from the others', telling.map((one) => escaped(tellingText(one)))],
    ['columns that set it apart', columns.map((one) => escaped(columnText(one)))],
    ['typical rows', inRow(areSeen(exemplars).map((one) => row(one)))],
    ['border rows', inRow(areSeen(border.filter(isOther)).map((one) => row(one, ` (to ${one.other})`)))],
    ['some of its rows', details ? [] : inRow(sampled.slice(0, SHOWN_ROWS).map((one) => row({ row: one })))],
    ['nearest, by separation', nearest ? [escaped(nearest)] : []],
    ['tree', evidence ? treeSentences(evidence) : []],
  ];
  return `<article class="card" data-cluster="${cluster}"><h3>${swatch(cluster)}Cluster ${cluster}${name && `: <bdi>${escaped(name)}</bdi>`} <small>${about.filter(Boolean).join(', ')}</small></h3><dl>${entries
    .filter(([, values]) => values.length)
    .map(([name, values]) => `<dt>${name}</dt>${values.map((value) => `<dd>${value}</dd>`).join('')}`)
    .join('')}</dl></article>`;
}

/** For want of columns that tell it from the others, those whose means differ; without names these mean nothing beside images and texts. */
function contrastsShown({ apart, telling = [], texts = [] }: ClusterDetails, areImages: boolean) {
  if (telling.length) return [];
  const isMeant = (name: string | undefined) => name !== undefined || !(areImages || texts.length);
  return apart
    .filter(({ difference, name }) => Math.abs(difference) >= LEAST_DIFFERENCE && isMeant(name))
    .slice(0, SHOWN_COLUMNS);
}

/** Beside texts, the number alone says nothing of a row. */
const isTold = ({ id }: NamedRow, texts: readonly string[]) => !texts.length || id !== undefined;

/** The cards of clusters of a run that is over, in their order and by their labels. `view`: null without points. */
export function clusterCards(
  clusters: readonly ClusterDetails[],
  view: Pick<ClusterTable, 'clusters'> | null,
  image: CardInput['image'] = () => null,
): string {
  const names = new Map(clusters.map((details) => [details.cluster, nameText(details)]));
  const cards = clusters.map((details, c) => {
    const { cluster, size: rows, share } = details;
    const nearest = neighboursText(view?.clusters[c]?.nearest ?? [], (other) => names.get(other) ?? '');
    return clusterCard({ cluster, rows, share, nearest, details, sampled: [], image });
  });
  const more = cards.splice(SHOWN_CARDS);
  return [
    ...cards,
    ...(more.length
      ? [
          `<details><summary>${counted(more.length, 'smaller cluster')}</summary><div class="cards-body">${more.join('\n')}</div></details>`,
        ]
      : []),
  ].join('\n');
}

const inRow = (rows: readonly string[]) =>
  rows.length ? [`<span class="row-list">${rows.join(' ')}</span>`] : [];

/** Such as `row 41,234 · seven.png`. */
export const nameOf = ({ row, id }: NamedRow) =>
  `row ${row.toLocaleString('en')}${id === undefined ? '' : ` · ${id}`}`;

function columnText(one: ClusterDetails['apart'][number]): string {
  const { column, name = `column ${column}`, difference, mean, rest } = one;
  const by = `${difference < 0 ? '−' : '+'}${Math.abs(difference).toPrecision(3)} sd`;
  return `${name} ${short(mean)}, elsewhere ${short(rest)} (${by})`;
}

function tellingText({ text, measure, own, others }: TellingColumn): string {
  return measure === 'median'
    ? `${text}: median ${short(own)}, elsewhere ${short(others)}`
    : `${text}: ${percent(own)} of its rows, ${percent(others)} elsewhere`.replaceAll(' %', '\u00a0%');
}

/** Three significant digits, with grouped thousands. */
function short(value: number): string {
  const shown = Number(value.toPrecision(3));
  return Math.abs(shown) >= 1e4 && Math.abs(shown) < 1e7
    ? shown.toLocaleString('en').replace('-', '−')
    : significant(shown);
}

/** What the entries of these cards mean. */
export function cardsLegend({ clusters, measure }: Described): string {
  const has = (is: (cluster: ClusterDetails) => boolean) => clusters.some(is);
  return [
    has((cluster) => contrastsShown(cluster, false).length > 0) &&
      'Columns that set apart: the mean in the cluster and in all other rows, and their difference in standard deviations of all rows.',
    has(({ words = [] }) => words.length > 0) && 'Words: by class-based tf-idf.',
    has(({ exemplars, texts = [] }) => exemplars.some((row) => isTold(row, texts))) &&
      'Typical rows are nearest to the centre, border rows to another cluster; rows are numbered from 0.',
    measure !== null &&
      has(({ evidence }) => Boolean(evidence?.join ?? evidence?.split)) &&
      `Tree: what the cluster joins first in the tree of merges, by another measure than separation; heights are ${measure}.`,
    'All of it, and the Mahalanobis distances of centres: clusters.json.',
  ]
    .filter(Boolean)
    .join(' ');
}

/** A row of the data by its first values, as HTML. */
export function rowText(
  { row, id, values = [], text }: RowContent,
  names: readonly string[] | null,
  image: string | null,
): string {
  // Beside a text, numbers without names are most likely its embedding.
  const shown = (text && !names ? [] : values).slice(0, MOST_VALUES).map((value, i) => {
    const text = significant(value);
    return names?.[i] === undefined ? text : `${names[i]} ${text}`;
  });
  const more = shown.length < values.length && shown.length ? ', …' : '';
  const said = text ? `<p class="row-said"><bdi>${escaped(clipped(text))}</bdi></p>` : '';
  return `<p class="one-row">${image ?? ''}<strong>${escaped(nameOf({ row, id }))}</strong>${shown.length ? escaped(`: ${shown.join(', ')}${more}`) : ''}</p>${said}`;
}

const clipped = (text: string) => (text.length > MOST_OF_TEXT ? `${text.slice(0, MOST_OF_TEXT)}…` : text);

/** Values that are shown of one row, and characters of its text. */
const [MOST_VALUES, MOST_OF_TEXT] = [12, 300];
