/** PCA split: two initial sub-clusters by the best threshold along the principal axis (docs/algorithm.md, section 6). */
import { symmetricEigen } from './linalg.ts';
import { type Covariance, mean, scatter } from './statistics.ts';

/** Bins of a histogram of projections. */
export const BINS = 1024;
/** The histogram's range on each side of the mean, in standard deviations. */
const HALF_RANGE = 6;
const MIN_ROWS = 5;

/**
 * The leading principal axis (unit D-vector) of the rows that T sums up, their mean, and their standard deviation √λ₁ along
 * the axis. With diag covariance it is the coordinate axis of the largest variance. An empty set has sd 0.
 */
export function principalAxis(
  T: Float64Array,
  d: number,
  cov: Covariance,
): { axis: Float64Array; mean: Float64Array; sd: number } {
  const spread = scatter(T, d, cov);
  const sd = (variance: number) => (T[0] > 0 ? Math.sqrt(Math.max(0, variance / T[0])) : 0);
  if (cov === 'full') {
    const { values, vectors } = symmetricEigen(spread, d);
    return { axis: vectors.slice(0, d), mean: mean(T, d), sd: sd(values[0]) };
  }
  const widest = spread.reduce((best, v, i) => (v > spread[best] ? i : best), 0);
  const axis = new Float64Array(d);
  axis[widest] = 1;
  return { axis, mean: mean(T, d), sd: sd(spread[widest]) };
}

/** The bin of a projection x·axis: BINS bins of equal width over centre ± 6·sd, ends clamped; centre = mean·axis. */
export function binOf(projection: number, centre: number, sd: number): number {
  if (!(sd > 0)) return 0;
  const bin = Math.floor((projection - centre) / binWidth(sd) + BINS / 2);
  return Math.max(0, Math.min(BINS - 1, bin));
}

/**
 * Exact one-dimensional two-means on a histogram made by `binOf` with the same centre and sd, with the rows of a bin at its
 * midpoint. Returns the threshold in projection units (rows at or above it are the second part); null for fewer than 5
 * rows, or when all are in one bin.
 */
export function bestThreshold(histogram: Float64Array, centre: number, sd: number): number | null {
  const midpoint = (bin: number) => bin + 0.5 - BINS / 2;
  const total = histogram.reduce((n, count) => n + count, 0);
  const sum = histogram.reduce((s, count, bin) => s + count * midpoint(bin), 0);
  if (total < MIN_ROWS) return null;
  let best = -Infinity;
  let threshold: number | null = null;
  let n = 0;
  let left = 0;
  let last = -1;
  for (let bin = 0; bin < BINS; bin++) {
    if (histogram[bin] === 0) continue;
    if (n > 0) {
      const gain = left ** 2 / n + (sum - left) ** 2 / (total - n);
      if (gain > best) {
        best = gain;
        threshold = centre + ((midpoint(last) + midpoint(bin)) / 2) * binWidth(sd);
      }
    }
    n += histogram[bin];
    left += histogram[bin] * midpoint(bin);
    last = bin;
  }
  return threshold;
}

function binWidth(sd: number): number {
  return (2 * HALF_RANGE * sd) / BINS;
}
