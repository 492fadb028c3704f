/**
 * Hastings ratios of splits and merges on tempered statistics (docs/algorithm.md, sections 6 and 7; Chang & Fisher, NIPS
 * 2013).
 */
import { gammaln } from 'simple-statistics';
import { addStatistics, scaleStatistics } from '../statistics.ts';
import { parametersOf } from './columns.ts';
import { logMarginal, type Niw } from './niw.ts';

/**
 * Each sub-cluster of a proposal needs more rows than this (as in the authors' code), and more than one after tempering: log Γ(ñ) rises again as ñ goes to
 * 0 and would favour tiny sub-clusters.
 */
export const MIN_PART_ROWS = 5;
const isEnough = (n: number, zeta: number) => n > MIN_PART_ROWS && zeta * n > 1;

/** Does a sub-cluster, given by its untempered hard statistics, have rows, but too few to be proposed as a cluster? */
export function isTiny([n]: Float64Array, zeta: number): boolean {
  return n > 0 && !isEnough(n, zeta);
}

/** ζ = min(1, n₀/n), the factor that tempers the statistics of n rows; n₀ = 0 switches tempering off (ζ = 1). */
export function coarsening(n: number, n0: number): number {
  return n0 === 0 || n <= n0 ? 1 : n0 / n;
}

/** Does every sub-cluster, given by its untempered hard statistics, have enough rows to be proposed as a cluster? */
export function proposable(parts: Float64Array[], zeta: number): boolean {
  return parts.length >= 2 && parts.every(([n]) => isEnough(n, zeta));
}

/**
 * log H of splitting a cluster into m ≥ 2 sub-clusters, given by their untempered hard statistics; with T̃ = ζT and ñ = ζn
 * (docs/algorithm.md, section 6): (m−1)·log α + Σ_j [log Γ(ñ_j) + log p(T̃_j)] − log Γ(Σñ_j) − log p(ΣT̃_j).
 * −∞ when a sub-cluster is empty.
 */
export function logSplitRatio(prior: Niw, parts: Float64Array[], alpha: number, zeta: number): number {
  if (parts.some((T) => T[0] <= 0)) return -Infinity;
  const tempered = parts.map((T) => scaleStatistics(T, zeta));
  const term = (T: Float64Array) => gammaln(T[0]) + logMarginal(prior, T);
  const apart = tempered.reduce((sum, T) => sum + term(T), 0);
  return (parts.length - 1) * Math.log(alpha) + apart - term(tempered.reduce(addStatistics));
}

/** log H of merging two clusters, given by their untempered hard statistics: −logSplitRatio. +∞ when one is empty. */
export function logMergeRatio(
  prior: Niw,
  a: Float64Array,
  b: Float64Array,
  alpha: number,
  zeta: number,
): number {
  return -logSplitRatio(prior, [a, b], alpha, zeta);
}

/**
 * The logarithm of the evidence of clusters, given by their untempered hard statistics, up to a constant: Σ_k [log α + log
 * Γ(ñ_k) + log p(T̃_k)]. Splits and merges change it by their log H.
 */
export function logEvidence(prior: Niw, clusters: Float64Array[], alpha: number, zeta: number): number {
  return clusters
    .filter(([n]) => n > 0)
    .map((T) => scaleStatistics(T, zeta))
    .reduce((sum, T) => sum + Math.log(alpha) + gammaln(T[0]) + logMarginal(prior, T), 0);
}

/**
 * What the best of many proposals may gain by the search alone, in nats: as much as the parameters of its sub-clusters beyond the first
 * cost, ½·log ñ each. The rows themselves choose its directions, and a mixture fits any density that is not Gaussian better
 * with more sub-clusters.
 */
export function searchCost({ d, covariance, kinds }: Niw, parts: Float64Array[], zeta: number): number {
  const n = zeta * parts.reduce((sum, T) => sum + T[0], 0);
  return ((parts.length - 1) * parametersOf(d, covariance, kinds) * Math.log(n)) / 2;
}

/** Metropolis–Hastings acceptance: true with probability min(1, H), given a uniform number in [0, 1). */
export function accepts(logRatio: number, uniform: number): boolean {
  return logRatio > 0 || uniform < Math.exp(logRatio);
}
