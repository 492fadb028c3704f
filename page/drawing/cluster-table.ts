import { sum } from 'd3-array';
import { dot, times, trace } from './projection.ts';

/** The clusters of a run in numbers: their rows, how wide they are, and which are nearest. */

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
  /** The numbers of its components, the largest in front. */
  components: readonly number[];
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
  /** Distance between the centres of the nearest two components divided by the sum of both standard deviations along the line between them. */
  separation: number;
}

export interface ClusterTableInput {
  /** The components of each cluster, the largest in front; without, each cluster is one. */
  members?: readonly (readonly number[])[];
  /** Of components: weights, means, covariances; of clusters: the rest. */
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

/** Separation is computed only to this many components with the nearest centres. */
const CANDIDATES = 5;
/** Limit on coordinate differences, one or two seconds: 1,000 components in 1,000 dimensions. */
const MOST_WORK = 5e8;

export function clusterTable(input: ClusterTableInput): ClusterTable {
  const { weights, means, covariances, rows, counted, logRatios, ids } = input;
  const { members = means.map((_, c) => [c]) } = input;
  const idOf = (cluster: number) => ids?.[cluster] ?? cluster;
  const nearest = nearestClusters(means, covariances, members, nonEmpty(rows));
  return {
    counted,
    isUpdate: ids !== undefined,
    clusters: members.map((own, c) => ({
      id: idOf(c),
      rows: rows[c],
      components: own,
      weight: sum(own, (component) => weights[component]),
      spread: spreadOf(own, input),
      nearest: (nearest.get(c) ?? []).map((one) => ({ ...one, cluster: idOf(one.cluster) })),
      logRatio: logRatios[c] ?? null,
    })),
  };
}

/** Of a cluster with these components: its variance is that within them and that of their means. */
function spreadOf(
  members: readonly number[],
  { weights, means, covariances }: Pick<ClusterTableInput, 'weights' | 'means' | 'covariances'>,
): number {
  const d = means[0].length;
  const total = sum(members, (component) => weights[component]);
  const share = (component: number) => (total > 0 ? weights[component] / total : 1 / members.length);
  const centre = Array.from(means[0], (_, i) =>
    sum(members, (component) => share(component) * means[component][i]),
  );
  const variance = (component: number) =>
    trace(covariances[component], d) + sum(centre, (value, i) => (means[component][i] - value) ** 2);
  return Math.sqrt(sum(members, (component) => share(component) * variance(component)) / d);
}

/** A cluster of several is no ellipse itself. */
export const hasComponents = ({ components }: Pick<ClusterRow, 'components'>): boolean =>
  components.length > 1;

/** Indices of the clusters that have rows. Soft counts below a millionth are rounding errors. */
export const nonEmpty = (rows: ArrayLike<number>): number[] =>
  Array.from(rows, (_, c) => c).filter((c) => rows[c] > 1e-6);

/** The share of all rows that are in a cluster. */
export const shareOf = ({ clusters }: Pick<ClusterTable, 'clusters'>, cluster: number): number =>
  clusters[cluster].rows / clusters.reduce((sum, { rows }) => sum + rows, 0);

/**
 * For each of the clusters `among`, the few with the nearest centres of components, by their separation: a wide cluster further away may be
 * less separated. Empty if there are too many components to compare.
 */
function nearestClusters(
  means: readonly ArrayLike<number>[],
  covariances: readonly ArrayLike<number>[],
  members: readonly (readonly number[])[],
  among: number[],
): Map<number, Neighbour[]> {
  const d = means[0].length;
  const components = among.flatMap((cluster) => members[cluster].map((of) => ({ of, cluster })));
  if ((components.length ** 2 * d) / 2 > MOST_WORK) return new Map();
  const centres = components.map(({ of }) => Float64Array.from(means[of]));
  const separation = (a: number, b: number): number => {
    const line = centres[b].map((value, i) => value - centres[a][i]);
    const [one, other] = [a, b].map((which) =>
      Math.sqrt(Math.max(0, dot(line, times(covariances[components[which].of], line, d)))),
    );
    return one + other > 0 ? dot(line, line) / (one + other) : Number.MAX_VALUE;
  };
  const nearest = new Map(among.map((cluster) => [cluster, new Map<number, number>()]));
  const others = closest(
    centres,
    components.map(({ cluster }) => cluster),
  );
  for (const [a, { cluster }] of components.entries())
    for (const b of others[a]) {
      const own = nearest.get(cluster)!;
      const other = components[b].cluster;
      own.set(other, Math.min(own.get(other) ?? Infinity, separation(a, b)));
    }
  const leastFirst = (own: Map<number, number>) =>
    Array.from(own, ([cluster, separation]) => ({ cluster, separation }))
      .sort((one, other) => one.separation - other.separation)
      .slice(0, CANDIDATES);
  return new Map(Array.from(nearest, ([cluster, own]) => [cluster, leastFirst(own)]));
}

/** The few nearest centres of other clusters of each centre, nearest first. */
function closest(centres: Float64Array[], clusters: readonly number[]): number[][] {
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
      if (clusters[a] === clusters[b]) continue;
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
