import { dot, times, trace } from './projection.ts';

/** The table of clusters, as the live page and the report show it. */

export interface ClusterTable {
  /** Rows are labels of all rows of the data; else soft counts of the training sample, as the run is not over. */
  counted: boolean;
  /** One for each cluster, in their order; those without rows too. */
  clusters: ClusterRow[];
}

export interface ClusterRow {
  rows: number;
  weight: number;
  /** Standard deviation along an axis, in quadratic mean over all D. */
  spread: number;
  /** Null if there is no other cluster, or there are too many to compare. */
  nearest: Neighbour | null;
  /** log H of splitting it, as last proposed; null: not known. */
  logRatio: number | null;
}

export interface Neighbour {
  cluster: number;
  /** Distance of the centres over the sum of both standard deviations along the line between them. */
  separation: number;
}

export interface Clusters {
  weights: ArrayLike<number>;
  means: readonly ArrayLike<number>[];
  /** Each D×D or its diagonal. */
  covariances: readonly ArrayLike<number>[];
  rows: ArrayLike<number>;
  counted: boolean;
  logRatios: ArrayLike<number | null>;
}

/** Clusters that are looked at closely when the nearest is sought: those whose centres are nearest. */
const CLOSE = 5;
/** Differences of coordinates that may be taken to find them, a second or two: 1,000 clusters in 1,000 dimensions. */
const MOST_WORK = 5e8;

export function clusterTable(clusters: Clusters): ClusterTable {
  const { weights, means, covariances, rows, counted, logRatios } = clusters;
  const nearest = nearestClusters(means, covariances, nonEmpty(rows));
  return {
    counted,
    clusters: means.map((mean, c) => ({
      rows: rows[c],
      weight: weights[c],
      spread: Math.sqrt(trace(covariances[c], mean.length) / mean.length),
      nearest: nearest.get(c) ?? null,
      logRatio: logRatios[c] ?? null,
    })),
  };
}

/** Numbers of the clusters that have rows. Of a soft count, less than a millionth is rounding. */
export const nonEmpty = (rows: ArrayLike<number>): number[] =>
  Array.from(rows, (_, c) => c).filter((c) => rows[c] > 1e-6);

/** What the columns hold, in words. */
export const legend = ({ counted }: Pick<ClusterTable, 'counted'>): string =>
  [
    `Rows: ${counted ? 'all rows of the data, by their label' : 'soft counts in the training sample'}.`,
    'Spread: standard deviation along an axis, in quadratic mean, in units of the transformed data.',
    'Nearest: the cluster from which it is least separated; separation: distance of the centres over the sum of both standard deviations in that direction.',
  ].join(' ');

/** One decimal; who is further than a hundred is just far. */
export const separationText = ({ separation }: Neighbour) =>
  separation < 100 ? separation.toFixed(1) : '> 99';

/**
 * For each of the clusters `among`, the other one from which it is separated least. Spread counts as much as distance: a
 * centre that is near may be well apart, and a wide cluster further away may reach in.
 */
function nearestClusters(
  means: readonly ArrayLike<number>[],
  covariances: readonly ArrayLike<number>[],
  among: number[],
): Map<number, Neighbour> {
  const found = new Map<number, Neighbour>();
  const d = means[0].length;
  if ((among.length ** 2 * d) / 2 > MOST_WORK) return found;
  const centres = among.map((c) => Float64Array.from(means[c]));
  closest(centres).forEach((others, a) => {
    for (const b of others) {
      const line = centres[b].map((value, i) => value - centres[a][i]);
      const [one, other] = [a, b].map((which) =>
        Math.sqrt(Math.max(0, dot(line, times(covariances[among[which]], line, d)))),
      );
      const separation = one + other > 0 ? dot(line, line) / (one + other) : Number.POSITIVE_INFINITY;
      const best = found.get(among[a]);
      if (!best || separation < best.separation) found.set(among[a], { cluster: among[b], separation });
    }
  });
  return found;
}

/** Of each centre the few that are nearest, nearest first. */
function closest(centres: Float64Array[]): number[][] {
  const found = centres.map((): { centre: number; squared: number }[] => []);
  const furthest = new Float64Array(centres.length).fill(Number.POSITIVE_INFINITY);
  const note = (to: number, centre: number, squared: number) => {
    const list = found[to];
    const at = list.findIndex((other) => squared < other.squared);
    list.splice(at < 0 ? list.length : at, 0, { centre, squared });
    if (list.length > CLOSE) list.pop();
    if (list.length === CLOSE) furthest[to] = list[CLOSE - 1].squared;
  };
  for (let a = 0; a < centres.length; a++)
    for (let b = a + 1; b < centres.length; b++) {
      const squared = squaredDistance(centres[a], centres[b]);
      if (squared < furthest[a]) note(a, b, squared);
      if (squared < furthest[b]) note(b, a, squared);
    }
  return found.map((list) => list.map(({ centre }) => centre));
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}
