import { isDiagonal, whitener } from './linalg.ts';
import { type Niw, pointEstimate } from './niw.ts';
import type { Covariance } from './statistics.ts';

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
