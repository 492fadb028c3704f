import type { ColumnKinds } from './gaussian/columns.ts';
import type { Covariance } from './statistics.ts';

/** A Gaussian mixture. */
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

/** The soft row counts n_k of n rows, from the weights π_k ∝ n_k/n + smoothing that `mStep` gave the clusters. */
export function softCounts(weights: ArrayLike<number>, n: number, smoothing: number): number[] {
  const { length } = weights;
  return Array.from(weights, (weight) => Math.max(0, n * (weight * (1 + smoothing * length) - smoothing)));
}
