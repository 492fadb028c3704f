/** A Gaussian mixture, and the M-step that estimates one from soft statistics (docs/algorithm.md, sections 3 and 5). */
import { type Niw, pointEstimate } from './niw.ts';
import type { Covariance } from './statistics.ts';

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
