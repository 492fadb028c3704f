import { swatch } from './palette.ts';
import { dot, times, trace } from './projection.ts';
import { columnTexts, count, escaped, logRatioText, percent } from './text.ts';

/** The table of clusters: what it says of them, and as HTML. */

export interface ClusterTable {
  /** Whether `rows` counts the labels of all rows of the data; else, in a run that is not over, soft counts of the sample. */
  counted: boolean;
  /** Of an update: they are those of all rows so far, of which the sample tells. */
  isUpdate: boolean;
  /** In the order of the clusters, including those without rows. */
  clusters: ClusterRow[];
}

export interface ClusterRow {
  /** Its label, by which people know it: its number, but in an update. */
  id: number;
  rows: number;
  weight: number;
  /** Root mean square of the standard deviations over all D axes. */
  spread: number;
  /** The least separated first; none if there is no other cluster, or too many to compare. */
  nearest: readonly Neighbour[];
  /** log H of splitting the cluster, as last proposed; null if not known. */
  logRatio: number | null;
}

export interface Neighbour {
  /** Its label. */
  cluster: number;
  /** Distance between the centres divided by the sum of both standard deviations along the line between them. */
  separation: number;
}

export interface ClusterTableInput {
  weights: ArrayLike<number>;
  means: readonly ArrayLike<number>[];
  /** Each D×D or its diagonal. */
  covariances: readonly ArrayLike<number>[];
  rows: ArrayLike<number>;
  counted: boolean;
  logRatios: ArrayLike<number | null>;
  /** Labels, where these are not the numbers of clusters. */
  ids?: readonly number[];
}

/** Separation is computed only to this many clusters with the nearest centres. */
const CANDIDATES = 5;
/** Limit on coordinate differences, one or two seconds: 1,000 clusters in 1,000 dimensions. */
const MOST_WORK = 5e8;

export function clusterTable(input: ClusterTableInput): ClusterTable {
  const { weights, means, covariances, rows, counted, logRatios, ids } = input;
  const idOf = (cluster: number) => ids?.[cluster] ?? cluster;
  const nearest = nearestClusters(means, covariances, nonEmpty(rows));
  return {
    counted,
    isUpdate: ids !== undefined,
    clusters: means.map((mean, c) => ({
      id: idOf(c),
      rows: rows[c],
      weight: weights[c],
      spread: Math.sqrt(trace(covariances[c], mean.length) / mean.length),
      nearest: (nearest.get(c) ?? []).map((one) => ({ ...one, cluster: idOf(one.cluster) })),
      logRatio: logRatios[c] ?? null,
    })),
  };
}

/** Indices of the clusters that have rows. Soft counts below a millionth are rounding errors. */
export const nonEmpty = (rows: ArrayLike<number>): number[] =>
  Array.from(rows, (_, c) => c).filter((c) => rows[c] > 1e-6);

/** Explanation of the columns, for people. */
export const legend = ({ counted, isUpdate }: Pick<ClusterTable, 'counted' | 'isUpdate'>): string =>
  [
    `Rows: ${!counted ? 'soft counts in the training sample' : isUpdate ? 'all rows so far, by the sample' : 'all rows of the data, by their label'}.`,
    'Spread: root mean square of the standard deviations over all axes, in units of the transformed data.',
    'Nearest: the least separated cluster, and the distance between both centres in sums of their standard deviations that way; below 1 the two hardly differ.',
    'Split: what speaks for splitting it in two (a log Hastings ratio, or what the graph likelihood gains); above 0 it would be split.',
  ].join(' ');

/** What the page adds to a row. */
export interface RowLooks {
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

/** The share of all rows that are in a cluster. */
export const shareOf = ({ clusters }: Pick<ClusterTable, 'clusters'>, cluster: number): number =>
  clusters[cluster].rows / clusters.reduce((sum, { rows }) => sum + rows, 0);

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

/**
 * For each of the clusters `among`, the few with the nearest centres, by their separation: a wide cluster further away may be
 * less separated. Empty if there are too many clusters to compare.
 */
function nearestClusters(
  means: readonly ArrayLike<number>[],
  covariances: readonly ArrayLike<number>[],
  among: number[],
): Map<number, Neighbour[]> {
  const d = means[0].length;
  if ((among.length ** 2 * d) / 2 > MOST_WORK) return new Map();
  const centres = among.map((c) => Float64Array.from(means[c]));
  const neighbour = (a: number, b: number): Neighbour => {
    const line = centres[b].map((value, i) => value - centres[a][i]);
    const [one, other] = [a, b].map((which) =>
      Math.sqrt(Math.max(0, dot(line, times(covariances[among[which]], line, d)))),
    );
    const separation = one + other > 0 ? dot(line, line) / (one + other) : Number.MAX_VALUE;
    return { cluster: among[b], separation };
  };
  const nearest = closest(centres).map((others, a) =>
    others.map((b) => neighbour(a, b)).sort((one, other) => one.separation - other.separation),
  );
  return new Map(nearest.map((own, a) => [among[a], own]));
}

/** The few nearest other centres of each centre, nearest first. */
function closest(centres: Float64Array[]): number[][] {
  const lists = centres.map((): { centre: number; squared: number }[] => []);
  const furthest = new Float64Array(centres.length).fill(Number.POSITIVE_INFINITY);
  const insert = (to: number, centre: number, squared: number) => {
    const list = lists[to];
    const at = list.findIndex((other) => squared < other.squared);
    list.splice(at < 0 ? list.length : at, 0, { centre, squared });
    if (list.length > CANDIDATES) list.pop();
    if (list.length === CANDIDATES) furthest[to] = list[CANDIDATES - 1].squared;
  };
  for (let a = 0; a < centres.length; a++)
    for (let b = a + 1; b < centres.length; b++) {
      const squared = squaredDistance(centres[a], centres[b]);
      if (squared < furthest[a]) insert(a, b, squared);
      if (squared < furthest[b]) insert(b, a, squared);
    }
  return lists.map((list) => list.map(({ centre }) => centre));
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}
