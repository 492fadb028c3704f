import type { FloatArray } from './arrays.ts';
import type { ColumnKinds } from './gaussian/columns.ts';
import { type Niw, pointEstimate } from './gaussian/niw.ts';
import { isDiagonal, whitener } from './linalg.ts';
import type { Covariance } from './statistics.ts';

/** A Gaussian mixture by its arrays: the M-step, which clusters are near, k-means++ and Lloyd's algorithm. Statistics come in; nothing of rows, workers or nets. */

/** A Gaussian mixture, and the M-step that estimates one from soft statistics (docs/algorithm.md, sections 3 and 5). */
export interface Mixture {
  readonly k: number;
  readonly d: number;
  readonly covariance: Covariance;
  /** π, K numbers that sum to 1. */
  readonly weights: Float64Array;
  /** K means of D numbers. */
  readonly means: Float64Array[];
  /** K covariance matrices: D×D when full, their diagonals (D) when diag. */
  readonly covariances: Float64Array[];
  /** Where not all columns are Gaussian: means of the others are probabilities. */
  readonly kinds?: ColumnKinds;
}

/** The mixture estimated from the K statistics `T`, with π_k ∝ n_k/n + smoothing (uniform when all are empty). */
export function mStep(prior: Niw, T: Float64Array[], smoothing: number): Mixture {
  const fits = T.map((t) => pointEstimate(prior, t));
  return {
    k: T.length,
    d: prior.d,
    covariance: prior.covariance,
    weights: mixtureWeights(
      T.map((t) => t[0]),
      smoothing,
    ),
    means: fits.map((fit) => fit.mean),
    covariances: fits.map((fit) => fit.covariance),
    ...(prior.kinds && { kinds: prior.kinds }),
  };
}

function mixtureWeights(counts: number[], smoothing: number): Float64Array {
  const n = counts.reduce((sum, c) => sum + c, 0);
  const smoothed = counts.map((c) => (n > 0 ? c / n : 1) + smoothing);
  const total = smoothed.reduce((sum, w) => sum + w, 0);
  return Float64Array.from(smoothed, (w) => w / total);
}

/** The soft row counts n_k of n rows, from the weights π_k ∝ n_k/n + smoothing that `mStep` gave the clusters. */
export function softCounts(weights: ArrayLike<number>, n: number, smoothing: number): number[] {
  const { length } = weights;
  return Array.from(weights, (weight) => Math.max(0, n * (weight * (1 + smoothing * length) - smoothing)));
}

/** Two clusters, by index, and the squared distance of one's mean from the other, in standard deviations of the latter. */
export interface Pair {
  a: number;
  b: number;
  distance: number;
}

/**
 * Pairs in which one cluster's mean is among the `count` nearest of the other, by Mahalanobis distance: in standard deviations
 * of that cluster. Each pair once. O(K²·D²) at most.
 */
export function nearestPairs({ k, d, means, covariances, covariance }: Mixture, count: number): Pair[] {
  const near = means.map((centre, a) => {
    const inverse = whitener(covariances[a], d, covariance);
    // Sorted insertion, as sorting all distances is slow for many clusters. Ties keep index order.
    const nearest: Pair[] = [];
    for (let b = 0; b < k; b++) {
      if (b === a) continue;
      const limit = nearest.length === count ? nearest[count - 1].distance : Infinity;
      const distance = distanceBelow(limit, means[b], centre, inverse);
      if (!(distance < limit)) continue;
      const at = nearest.findIndex((other) => distance < other.distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, { a, b, distance });
      if (nearest.length > count) nearest.pop();
    }
    return nearest;
  });
  return near.flat().filter(({ a, b }) => a < b || !near[b].some((back) => back.b === a));
}

/** ‖inverse·(x − centre)‖², or some number from `limit` on if it is not below that. */
function distanceBelow(limit: number, x: Float64Array, centre: Float64Array, inverse: Float64Array): number {
  const d = x.length;
  let distance = 0;
  for (let i = 0; i < d && distance < limit; i++) {
    let u = 0;
    if (isDiagonal(inverse, d)) u = inverse[i] * (x[i] - centre[i]);
    else for (let j = 0; j <= i; j++) u += inverse[i * d + j] * (x[j] - centre[j]);
    distance += u * u;
  }
  return distance;
}

/** ‖x − centre‖² of the row x[offset .. offset + d). */
export function squaredDistance(x: FloatArray, offset: number, centre: Float64Array, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += (x[offset + i] - centre[i]) ** 2;
  return sum;
}

/** Index of the centre nearest to the row x[offset .. offset + d), the first one on a tie. */
export function nearestCentre(x: FloatArray, offset: number, centres: Float64Array[], d: number): number {
  let best = 0;
  let least = Infinity;
  for (let k = 0; k < centres.length; k++) {
    const distance = squaredDistance(x, offset, centres[k], d);
    if (distance < least) {
      least = distance;
      best = k;
    }
  }
  return best;
}

/** Index drawn with probability ∝ weight, given a uniform number in [0, 1); uniformly when all weights are zero. */
export function chooseByWeight(weights: ArrayLike<number>, uniform: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  if (total === 0) return Math.floor(uniform * weights.length);
  let left = uniform * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    if (left < weights[i]) return i;
    left -= weights[i];
  }
  return last;
}

/**
 * A shard's part of one step of k-means++ (Arthur & Vassilvitskii 2007; docs/algorithm.md, section 4): the total D² weight of its n×D rows and one row index drawn by D². The
 * coordinator then draws a shard by `chooseByWeight` on the totals and takes its candidate: together a D² draw over all
 * rows. Without centres every row has weight 1. Null for a shard without rows.
 *
 * @param known the rows' weights for the first `known.centres` centres, from an earlier step
 */
export function seedCandidate(
  rows: FloatArray,
  d: number,
  centres: Float64Array[],
  uniform: number,
  known: { centres: number; weights: Float64Array } | null = null,
): { weight: number; row: number; weights: Float64Array } | null {
  if (rows.length === 0) return null;
  const added = centres.slice(known?.centres ?? 0);
  const weights = Float64Array.from({ length: rows.length / d }, (_, i) => {
    if (!centres.length) return 1;
    const before = known?.centres ? known.weights[i] : Infinity;
    if (!added.length) return before;
    return Math.min(before, squaredDistance(rows, i * d, added[nearestCentre(rows, i * d, added, d)], d));
  });
  return { weight: weights.reduce((a, b) => a + b, 0), row: chooseByWeight(weights, uniform), weights };
}

/** One Lloyd update from the counts and sums over all shards; a centre without rows stays where it was. */
export function lloydCentres(
  sums: { n: number; s: Float64Array }[],
  previous: Float64Array[],
): Float64Array[] {
  return sums.map(({ n, s }, k) => (n > 0 ? s.map((v) => v / n) : previous[k]));
}
