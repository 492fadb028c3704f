import { asDistance } from '../gaussian/columns.ts';
import { cholesky, fourSquaredDistances, invertLower, packedLower } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import { keyOf, numberOf } from '../quantile-search.ts';
import { type Covariance, centreWidth } from '../statistics.ts';
import { MOST_SHOWN } from '../widths.ts';

/** The centres of clusters, distances of rows from them, and what is shown of these: nearest rows, quantiles. */

/**
 * Of each cluster its mean μ and the root R of its precision, Σ⁻¹ = RᵀR, in float32: [K,W], a cluster a row. R is lower triangular, row
 * by row; of a diagonal covariance it is the diagonal.
 */
export interface Centres {
  readonly k: number;
  readonly d: number;
  readonly covariance: Covariance;
  readonly values: Float32Array;
}

export const MAX_FLOAT32 = 2 ** 128 - 2 ** 104;

/** The centres of k components in d dimensions whose numbers these are: of which width they are says whether R is diagonal. */
export const centresFrom = (k: number, d: number, values: Float32Array): Centres => ({
  ...{ k, d, values },
  covariance: values.length === k * centreWidth(d, 'diag') ? 'diag' : 'full',
});

/** Along a direction in which a cluster has no extent, distances are not measured. */
export function centresOf({ k, d, covariance, means, covariances, kinds }: Mixture): Centres {
  const width = centreWidth(d, covariance);
  const values = new Float32Array(k * width);
  for (const [c, mean] of means.entries()) {
    const moments = { mean, covariance: covariances[c] };
    const own = kinds ? asDistance(kinds, moments, covariance) : moments;
    const root = precisionRoot(own.covariance, d, covariance);
    for (const [i, value] of [...own.mean, ...root].entries())
      values[c * width + i] = Math.max(-MAX_FLOAT32, Math.min(MAX_FLOAT32, value));
  }
  return { k, d, covariance, values };
}

function precisionRoot(covariance: Float64Array, d: number, kind: Covariance): Float64Array {
  const inverse = (variance: number) => (variance > 0 ? 1 / Math.sqrt(variance) : 0);
  if (kind === 'diag') return covariance.map(inverse);
  const factor = cholesky(covariance, d);
  const root = factor ? invertLower(factor, d) : new Float64Array(d * d);
  if (!factor) for (let p = 0; p < root.length; p += d + 1) root[p] = inverse(covariance[p]);
  return packedLower(root, d);
}

/** The Mahalanobis distance ‖R(x − μ)‖ of the row x that starts at `at` from the centre of a cluster. */
export function distanceFrom(
  { d, covariance, values }: Centres,
  cluster: number,
  rows: ArrayLike<number>,
  at = 0,
): number {
  const mean = cluster * centreWidth(d, covariance);
  let p = mean + d;
  let sum = 0;
  for (let i = 0; i < d; i++) {
    let u = 0;
    if (covariance === 'full')
      for (let j = 0; j <= i; j++) u += values[p++] * (rows[at + j] - values[mean + j]);
    else u = values[p++] * (rows[at + i] - values[mean + i]);
    sum += u * u;
  }
  return Math.min(Math.sqrt(sum), MAX_FLOAT32);
}

/** z beyond which a normal variable is once in a million. */
const RARE = 4.753424;

/**
 * The distance from its centre beyond which one row in a million of a Gaussian cluster is: the square root of a quantile of χ²
 * (Wilson & Hilferty 1931). No cluster explains rows that are beyond the reach of all.
 */
export function reachOf(d: number): number {
  const v = 2 / (9 * d);
  return Math.sqrt(d * (1 - v + RARE * Math.sqrt(v)) ** 3);
}

/**
 * How sure a label is, given its responsibility and the row's distance from the centre of that cluster. Beyond its reach the
 * responsibility only says that others are farther still: it is multiplied by D/distance², the largest share of a cluster's rows that can be
 * as far from its centre, whatever its distribution (Chebyshev's inequality).
 */
export const confidenceOf = (
  responsibility: number,
  distance: number,
  d: number,
  reach = reachOf(d),
): number => (distance > reach ? (responsibility * d) / distance ** 2 : responsibility);

/**
 * The distance of each row from the centre of the cluster that it is labelled with, as of `distanceFrom`: four rows of a cluster at a time, whose sums
 * do not wait for each other.
 */
export function distancesFrom(centres: Centres, rows: Float32Array, labels: ArrayLike<number>): Float32Array {
  const { k, d, covariance, values } = centres;
  const out = new Float32Array(labels.length);
  const inOrder = rowsInOrder(labels, k);
  const x = new Float64Array(4 * d);
  const origin = new Float64Array(d);
  const squares = new Float64Array(4);
  for (let first = 0, after = 0; first < out.length; first = after) {
    const cluster = labels[inOrder[first]];
    after = first + 1;
    while (after < first + 4 && labels[inOrder[after]] === cluster) after++;
    const mean = cluster * centreWidth(d, covariance);
    for (let q = 0; first + q < after; q++)
      for (let i = 0, at = inOrder[first + q] * d; i < d; i++) x[4 * i + q] = rows[at + i] - values[mean + i];
    fourSquaredDistances(values, mean + d, covariance, origin, x, squares);
    for (let q = 0; first + q < after; q++)
      out[inOrder[first + q]] = Math.min(Math.sqrt(squares[q]), MAX_FLOAT32);
  }
  return out;
}

/** The rows with each label in turn. */
function rowsInOrder(labels: ArrayLike<number>, k: number): Int32Array {
  const next = new Int32Array(k + 1);
  for (let i = 0; i < labels.length; i++) next[labels[i] + 1]++;
  for (let c = 0; c < k; c++) next[c + 1] += next[c];
  const out = new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i++) out[next[labels[i]]++] = i;
  return out;
}

/** The centres in another order. */
export function reorderedCentres(centres: Centres, order: readonly number[]): Centres {
  const width = centreWidth(centres.d, centres.covariance);
  const values = new Float32Array(order.length * width);
  for (const [c, old] of order.entries())
    values.set(centres.values.subarray(old * width, (old + 1) * width), c * width);
  return { ...centres, k: order.length, values };
}

/**
 * The clusters whose centres are nearest to those of one cluster, by its own covariances; only the first `k` are looked at. `members`: the components of
 * each cluster, of which the two that are nearest count.
 */
export function nearestClusters(
  centres: Centres,
  members: readonly (readonly number[])[],
  cluster: number,
  k: number,
  most: number,
): { cluster: number; distance: number }[] {
  const width = centreWidth(centres.d, centres.covariance);
  const distance = (other: number) =>
    members[cluster].reduce(
      (least, own) =>
        members[other].reduce(
          (least, component) =>
            Math.min(least, distanceFrom(centres, own, centres.values, component * width)),
          least,
        ),
      Infinity,
    );
  return Array.from({ length: k }, (_, other) => other)
    .filter((other) => other !== cluster)
    .map((other) => ({ cluster: other, distance: distance(other) }))
    .sort((a, b) => a.distance - b.distance || a.cluster - b.cluster)
    .slice(0, most);
}

/**
 * Quantiles of distances by cluster, counted in bounded memory and in any order of the rows. They are exact while a cluster has few
 * different distances; else those count as equal that agree in so many digits that few are left.
 */

/** A cluster's quantiles are those of 0, 1/1000, …, 1. */
export const QUANTILE_STEPS = 1000;
/** Different distances that are counted: of each cluster at least so many, and of all of them about so many. */
const [LEAST_BINS, ALL_BINS] = [1 << 10, 1 << 20];

/** Rows of one cluster by their distance. */
interface Counts {
  rows: number;
  least: number;
  most: number;
  /** Binary digits of keys that do not count. */
  shift: number;
  /** By the key of the distance without these. */
  bins: Bins;
}

export interface DistanceCounts {
  add(cluster: number, distance: number): void;
  /** [K, 1001]; zeros for a cluster without rows. */
  quantiles(order: readonly number[]): Float32Array;
}

export function distanceCounts(k: number): DistanceCounts {
  const mostBins = Math.max(LEAST_BINS, Math.floor(ALL_BINS / k));
  const clusters = Array.from(
    { length: k },
    (): Counts => ({ rows: 0, least: Infinity, most: 0, shift: 0, bins: createBins() }),
  );
  return {
    add(cluster, distance) {
      const own = clusters[cluster];
      own.rows++;
      own.least = Math.min(own.least, distance);
      own.most = Math.max(own.most, distance);
      own.bins.add(keyOf(distance) >>> own.shift, 1);
      // As bins only become more with more rows, how many digits are left does not depend on the rows' order.
      while (own.bins.size() > mostBins) {
        own.bins.coarsen();
        own.shift++;
      }
    },
    quantiles(order) {
      const out = new Float32Array(order.length * (QUANTILE_STEPS + 1));
      for (const [c, old] of order.entries())
        if (clusters[old].rows) out.set(quantilesOf(clusters[old]), c * (QUANTILE_STEPS + 1));
      return out;
    },
  };
}

type Bins = ReturnType<typeof createBins>;

/** Numbers of rows by keys of 32 bits. A `Map` of a million bins takes ten times the memory, and more while it is replaced. */
function createBins() {
  /** Open addressing; a place without rows is free. */
  let keys = new Uint32Array(64);
  let rows = new Uint32Array(64);
  let used = 0;
  function placeOf(key: number): number {
    const mask = keys.length - 1;
    let place = (Math.imul(key, 0x9e3779b1) >>> Math.clz32(mask)) & mask;
    while (rows[place] && keys[place] !== key) place = (place + 1) & mask;
    return place;
  }
  function add(key: number, count: number): void {
    const place = placeOf(key);
    if (!rows[place]) used++;
    keys[place] = key;
    rows[place] += count;
    if (8 * used > 7 * keys.length) rebuild(2 * keys.length, 0);
  }
  function rebuild(length: number, shift: number): void {
    const [oldKeys, oldRows] = [keys, rows];
    keys = new Uint32Array(length);
    rows = new Uint32Array(length);
    used = 0;
    for (const [place, count] of oldRows.entries()) if (count) add(oldKeys[place] >>> shift, count);
  }
  return {
    add,
    size: () => used,
    /** With one binary digit less. */
    coarsen: () => rebuild(keys.length, 1),
    /** The keys with rows, ascending. */
    keys: () => keys.filter((_, place) => rows[place] > 0).sort(),
    get: (key: number) => rows[placeOf(key)],
  };
}

/** As NumPy's default, between the two rows beside a place in proportion. Rows in a bin of several distances are at equal steps. */
function quantilesOf({ rows, least, most, shift, bins }: Counts): Float32Array {
  const keys = bins.keys();
  const edge = (key: number) => Math.min(most, numberOf((key << shift) >>> 0));
  let at = 0;
  let before = 0;
  /** The distance of the row of this rank; ranks do not fall. */
  const distanceAt = (rank: number): number => {
    while (before + bins.get(keys[at]) <= rank) before += bins.get(keys[at++]);
    if (shift === 0) return edge(keys[at]);
    const share = (rank - before + 0.5) / bins.get(keys[at]);
    const low = edge(keys[at]);
    return Math.max(least, low + share * (edge(keys[at] + 1) - low));
  };
  return Float32Array.from({ length: QUANTILE_STEPS + 1 }, (_, step) => {
    if (step === QUANTILE_STEPS) return most;
    const place = (step / QUANTILE_STEPS) * (rows - 1);
    const rank = Math.floor(place);
    const low = distanceAt(rank);
    const high = rank + 1 < rows ? peek(rank + 1) : low;
    return low + (place - rank) * (high - low);
  });

  /** Like `distanceAt`, without going on. */
  function peek(rank: number): number {
    const [oldAt, oldBefore] = [at, before];
    const distance = distanceAt(rank);
    [at, before] = [oldAt, oldBefore];
    return distance;
  }
}

/** The share of a cluster's rows that are nearer to its centre, between quantiles in proportion; 1 beyond all of them. */
export function outlierScore(quantiles: Float32Array, cluster: number, distance: number): number {
  const first = cluster * (QUANTILE_STEPS + 1);
  let [low, high] = [0, QUANTILE_STEPS];
  if (!(distance <= quantiles[first + high])) return 1;
  if (distance <= quantiles[first]) return 0;
  // The least quantile that is not nearer.
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (quantiles[first + middle] >= distance) high = middle;
    else low = middle;
  }
  const [below, above] = [quantiles[first + low], quantiles[first + high]];
  return (low + (distance - below) / (above - below)) / QUANTILE_STEPS;
}

export interface Candidate {
  row: number;
  value: number;
}

/** Puts the candidate into the list of the `most` least ones, of equal values those of the first rows, if it is one of them. */
export function keepLeast<C extends Candidate>(list: C[], candidate: C, most = MOST_SHOWN): void {
  const isBefore = (a: Candidate, b: Candidate) =>
    a.value < b.value || (a.value === b.value && a.row < b.row);
  const last = list.at(-1);
  if (list.length >= most && !isBefore(candidate, last!)) return;
  let at = list.length;
  while (at > 0 && isBefore(candidate, list[at - 1])) at--;
  list.splice(at, 0, candidate);
  if (list.length > most) list.pop();
}
