/** Hastings ratios of splits and merges, on coarsened statistics (docs/algorithm.md, sections 6 and 7). */
import { gammaln } from 'simple-statistics';
import { logMarginal, type Niw } from './niw.ts';
import { addStatistics, scaleStatistics } from './statistics.ts';

/**
 * A part must hold more rows than this to be proposed, and more than one once tempered: log Γ(ñ) rises again as ñ falls
 * to 0, and would reward crumbs.
 */
const MIN_PART = 5;
const isEnough = (n: number, zeta: number) => n > MIN_PART && zeta * n > 1;

/** Whether a part holds some rows (raw hard statistics), but too few to be proposed as a cluster. */
export function isTiny([n]: Float64Array, zeta: number): boolean {
  return n > 0 && !isEnough(n, zeta);
}

/** ζ = min(1, n₀/n), by which statistics are tempered in ratios; n₀ = 0 switches coarsening off (ζ = 1). */
export function coarsening(n: number, d: number, n0 = Math.max(10_000, 1_000 * d)): number {
  return n0 === 0 || n <= n0 ? 1 : n0 / n;
}

/** Whether every part (raw hard statistics) holds enough rows to be proposed as a cluster. */
export function proposable(parts: Float64Array[], zeta: number): boolean {
  return parts.length >= 2 && parts.every(([n]) => isEnough(n, zeta));
}

/**
 * log H of splitting a cluster into m ≥ 2 parts given by their raw hard statistics, with T̃ = ζT, ñ = ζn:
 * (m−1)·log α + Σ_j [log Γ(ñ_j) + log p(T̃_j)] − log Γ(ñ) − log p(ΣT̃_j). −∞ when a part is empty.
 */
export function logSplitRatio(prior: Niw, parts: Float64Array[], alpha: number, zeta: number): number {
  if (parts.some((T) => T[0] <= 0)) return -Infinity;
  const tempered = parts.map((T) => scaleStatistics(T, zeta));
  const term = (T: Float64Array) => gammaln(T[0]) + logMarginal(prior, T);
  const apart = tempered.reduce((sum, T) => sum + term(T), 0);
  return (parts.length - 1) * Math.log(alpha) + apart - term(tempered.reduce(addStatistics));
}

/** log H of merging two clusters given by their raw hard statistics: −logSplitRatio. +∞ when one is empty. */
export function logMergeRatio(
  prior: Niw,
  a: Float64Array,
  b: Float64Array,
  alpha: number,
  zeta: number,
): number {
  return -logSplitRatio(prior, [a, b], alpha, zeta);
}

/** Accepts with probability min(1, H), given a uniform number of [0, 1). */
export function accepts(logRatio: number, uniform: number): boolean {
  return logRatio > 0 || uniform < Math.exp(logRatio);
}
