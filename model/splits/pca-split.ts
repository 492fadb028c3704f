/** PCA split: two initial sub-clusters by the best threshold along the principal axis (docs/algorithm.md, section 6). */
import { roughLeadingEigen } from '../leading-eigen.ts';
import { unwhitened } from '../linalg.ts';
import { type Covariance, mean, scatter } from '../statistics.ts';

/** Bins of a histogram of projections. */
export const BINS = 1024;
/** The histogram's range on each side of the mean, in standard deviations. */
const HALF_RANGE = 6;
const MIN_ROWS = 5;
/** Residual of the axis, relative to the largest eigenvalue. (By 2⁻⁸, ten clusters in 384 columns took 78 epochs in place of 66.) */
const AXIS_TOLERANCE = 2 ** -16;
/** Added to the variance of a side, in squared widths of a bin: a few equal rows must not seem a cluster. */
const MIN_VARIANCE = 1;

/**
 * The leading principal axis (D-vector) of the rows that T sums up, their mean, and their standard deviation along the axis.
 * With diag covariance it is a coordinate axis. An empty set has sd 0. With `inverse`, the variance along the axis is the
 * largest in proportion to that of the covariance that `inverse` whitens; without, the axis is a unit vector.
 */
export function principalAxis(
  T: Float64Array,
  d: number,
  cov: Covariance,
  inverse: Float64Array | null = null,
): { axis: Float64Array; mean: Float64Array; sd: number } {
  const spread = scatter(T, d, cov);
  const sd = (variance: number) => (T[0] > 0 ? Math.sqrt(Math.max(0, variance / T[0])) : 0);
  if (cov === 'full') {
    const { values, vectors: axis } = roughLeadingEigen(spread, d, 1, AXIS_TOLERANCE, inverse);
    return { axis: inverse ? unwhitened(inverse, axis) : axis, mean: mean(T, d), sd: sd(values[0]) };
  }
  const relative = inverse ? spread.map((value, i) => value * inverse[i] ** 2) : spread;
  const widest = relative.reduce((best, v, i) => (v > relative[best] ? i : best), 0);
  const axis = new Float64Array(d);
  axis[widest] = 1;
  return { axis, mean: mean(T, d), sd: sd(spread[widest]) };
}

/** The bin of a projection x·axis: bins of equal width over centre ± 6·sd, ends clamped; centre = mean·axis. */
export function binOf(projection: number, centre: number, sd: number, bins = BINS): number {
  if (!(sd > 0)) return 0;
  const bin = Math.floor((projection - centre) / binWidth(sd, bins) + bins / 2);
  return Math.max(0, Math.min(bins - 1, bin));
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

/**
 * The threshold on such a histogram at which two Gaussians, one for each side, gain most over one: `gain` in nats.
 * Unlike two-means it finds a small part beside a large one. Null as for `bestThreshold`.
 */
export function likeliestThreshold(
  histogram: Float64Array,
  centre: number,
  sd: number,
): { at: number; gain: number } | null {
  const bins = histogram.length;
  const midpoint = (bin: number) => bin + 0.5 - bins / 2;
  let [total, sum, squares] = [0, 0, 0];
  histogram.forEach((count, bin) => {
    total += count;
    sum += count * midpoint(bin);
    squares += count * midpoint(bin) ** 2;
  });
  if (total < MIN_ROWS) return null;
  /** n·(log n − ½·log variance); a variance has room for the width of a bin, so that a few equal rows gain nothing. */
  const term = (n: number, s: number, q: number) =>
    n * (Math.log(n) - Math.log(Math.max(0, q / n - (s / n) ** 2) + MIN_VARIANCE) / 2);
  const whole = term(total, sum, squares);
  let best: { at: number; gain: number } | null = null;
  let [n, s, q, last] = [0, 0, 0, -1];
  for (let bin = 0; bin < bins; bin++) {
    if (histogram[bin] === 0) continue;
    if (n >= MIN_ROWS && total - n >= MIN_ROWS) {
      const gain = term(n, s, q) + term(total - n, sum - s, squares - q) - whole;
      if (!best || gain > best.gain)
        best = { at: centre + ((midpoint(last) + midpoint(bin)) / 2) * binWidth(sd, bins), gain };
    }
    n += histogram[bin];
    s += histogram[bin] * midpoint(bin);
    q += histogram[bin] * midpoint(bin) ** 2;
    last = bin;
  }
  return best;
}

function binWidth(sd: number, bins = BINS): number {
  return (2 * HALF_RANGE * sd) / bins;
}
