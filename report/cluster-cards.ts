import type { ClusterDescription, SavedClusters, ShownRow } from '../data/saved/saved-clusters.ts';
import { type ClusterTable, neighboursText } from '../view/cluster-table.ts';
import { type Exemplars, type ExemplarView, MOST_CLUSTERS } from './exemplars.ts';
import { markerPath, markerStyle } from './markers.ts';
import { rowImage, SIDE } from './pictures/exemplars.ts';
import { escaped, significant } from './svg.ts';

/** The section of the report that says what each cluster is. */

/** Of the columns and rows in clusters.json, so many are shown. */
const [SHOWN_COLUMNS, SHOWN_ROWS] = [5, 5];
/** Smaller differences are not, in standard deviations. */
const LEAST_DIFFERENCE = 0.1;

/** `table`: what has the nearest clusters. `exemplars`: of images, whose single pixels are not named. */
export function descriptionSection(
  { clusters, measure }: SavedClusters,
  table: ClusterTable | null,
  exemplars: ExemplarView | null,
): string {
  const imagesOf = new Map(exemplars?.clusters.map((one, i) => [one.cluster, cardImages(one, i, exemplars)]));
  if (exemplars) clusters = clusters.map((one) => ({ ...one, apart: one.apart.filter(({ name }) => name) }));
  const nearestOf = (cluster: number) => neighboursText(table?.clusters[cluster]?.nearest ?? []);
  return `<section><h2>What sets clusters apart</h2>
<div class="cards">
${clusters.map((one) => card(one, nearestOf(one.cluster), imagesOf.get(one.cluster) ?? '')).join('\n')}
</div>
<p class="legend">${escaped(legendOf(clusters, measure))}</p>
</section>`;
}

/** Those that the picture of exemplars has are taken from there: each image is in the report once. */
function cardImages({ at, images }: Exemplars, place: number, view: ExemplarView): string {
  const all = images.map((values, i) => {
    const content = place < MOST_CLUSTERS ? `<use href="#row-${at[i]}"/>` : rowImage(values, view, at[i]);
    return `<svg viewBox="0 0 ${SIDE} ${SIDE}" width="${SIDE}" height="${SIDE}" role="img" aria-label="Image of row ${at[i]}">${content}</svg>`;
  });
  return all.length ? `<p class="images">${all.join('')}</p>\n` : '';
}

function card(description: ClusterDescription, nearest: string, images: string): string {
  const { cluster, size, share } = description;
  const { colour, shape } = markerStyle(cluster);
  const swatch = `<svg class="swatch" viewBox="-8 -8 16 16" width="14" height="14" aria-hidden="true"><path d="M0 0${markerPath(shape, 6)}" fill="${colour}"/></svg>`;
  const rows = `${size.toLocaleString('en')} ${size === 1 ? 'row' : 'rows'}, ${(100 * share).toFixed(1)} %`;
  const entries = entriesOf(description, nearest).filter(([, values]) => values.length);
  return `<article><h3>${swatch}${cluster} <small>${rows}</small></h3>
${images}<dl>${entries.map(([name, values]) => `<dt>${name}</dt>${values.map((value) => `<dd>${escaped(value)}</dd>`).join('')}`).join('')}</dl></article>`;
}

function entriesOf(
  { apart, words = [], texts = [], exemplars, border, evidence }: ClusterDescription,
  nearest: string,
): [string, string[]][] {
  const list = (items: string[]) => (items.length ? [items.join(', ')] : []);
  return [
    ['words', list(words.map(({ word }) => word))],
    ['typical texts', texts.map((text) => `“${text}”`)],
    ['typical rows', list(exemplars.slice(0, SHOWN_ROWS).map(nameOf))],
    [
      'columns',
      apart
        .filter(({ difference }) => Math.abs(difference) >= LEAST_DIFFERENCE)
        .slice(0, SHOWN_COLUMNS)
        .map(
          ({ column, name, difference, mean, rest }) =>
            `${name ?? `column ${column}`} ${short(mean)}, elsewhere ${short(rest)} (${signed(difference)} sd)`,
        ),
    ],
    ['border rows', list(border.slice(0, SHOWN_ROWS).map((row) => `${nameOf(row)} (to ${row.other})`))],
    ['nearest', nearest ? [nearest] : []],
    [
      'tree',
      evidence
        ? [
            ...(evidence.join
              ? [`joins ${evidence.join.clusters.join(', ')} at ${significant(evidence.join.height)}`]
              : []),
            ...(evidence.split
              ? [
                  `would split into ${evidence.split.sizes.map((rows) => rows.toLocaleString('en')).join(' and ')} rows at ${significant(evidence.split.height)}`,
                ]
              : []),
          ]
        : [],
    ],
  ];
}

const nameOf = ({ row, id }: ShownRow) => id ?? `row ${row}`;
/** Three significant digits, with grouped thousands. */
const short = (value: number) => {
  const shown = Number(value.toPrecision(3));
  return Math.abs(shown) >= 1e4 && Math.abs(shown) < 1e7
    ? shown.toLocaleString('en').replace('-', '−')
    : significant(shown);
};
const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;

function legendOf(clusters: readonly ClusterDescription[], measure: string | null): string {
  const has = (is: (cluster: ClusterDescription) => boolean) => clusters.some(is);
  return [
    has(({ apart }) => apart.length > 0) &&
      'Columns: the mean in the cluster and in all other rows, and their difference in standard deviations of all rows.',
    has(({ words }) => (words?.length ?? 0) > 0) && 'Words: by class-based tf-idf.',
    'Typical rows are nearest to the centre, border rows to another cluster; rows are numbered from 0.',
    'Nearest: other clusters, with their separation as in the table of clusters.',
    measure !== null &&
      has(({ evidence }) => evidence !== null) &&
      `Tree: what the cluster joins first in the tree of merges, by another measure than separation; heights are ${measure}.`,
    'All of it, and the Mahalanobis distances of centres: clusters.json.',
  ]
    .filter(Boolean)
    .join(' ');
}
