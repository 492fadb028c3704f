/** How two sub-clusters start: the best threshold along the principal axis (docs/algorithm.md, section 6). */
import { symmetricEigen } from './linalg.ts';
import { type Covariance, mean, scatter } from './statistics.ts';

export const BINS = 1024;
const REACH = 6;
const FEWEST_POINTS = 5;

/**
 * Leading principal axis (unit D-vector) of the rows behind T, their mean and the standard deviation √λ₁
 * along it. With diag covariance the coordinate axis of the largest variance; an empty set has sd 0.
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

/** Histogram bin of a projection x·axis: BINS of equal width over centre ± 6·sd, ends clamped; centre = mean·axis. */
export function binOf(projection: number, centre: number, sd: number): number {
  if (!(sd > 0)) return 0;
  const bin = Math.floor((projection - centre) / binWidth(sd) + BINS / 2);
  return Math.max(0, Math.min(BINS - 1, bin));
}

/**
 * Exact 1-D two-means of a histogram made by `binOf` with the same centre and sd, each bin's rows at its middle.
 * Returns the threshold in projection units (rows at or above it are the second side), or null when all
 * rows share a bin or are fewer than 5.
 */
export function bestThreshold(histogram: Float64Array, centre: number, sd: number): number | null {
  const middle = (bin: number) => bin + 0.5 - BINS / 2;
  const total = histogram.reduce((n, count) => n + count, 0);
  const sum = histogram.reduce((s, count, bin) => s + count * middle(bin), 0);
  if (total < FEWEST_POINTS) return null;
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
        threshold = centre + ((middle(last) + middle(bin)) / 2) * binWidth(sd);
      }
    }
    n += histogram[bin];
    left += histogram[bin] * middle(bin);
    last = bin;
  }
  return threshold;
}

function binWidth(sd: number): number {
  return (2 * REACH * sd) / BINS;
}
