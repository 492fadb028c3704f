import { diagonalOf, dot, symmetricEigen, unwhitened, whitened, whitener } from '../linalg.ts';
import { roughLeadingEigen, SMALL_IF_ROUGH } from '../principal-axes.ts';
import type { Parts } from '../state.ts';
import { type Covariance, mean, scatter } from '../statistics.ts';
import { blockAt, type ColumnKinds, spreadAt, statisticsAt } from './columns.ts';
import { gaussianPart, type Niw } from './niw.ts';

/** Where a cluster may be cut in two or more. PCA split: two initial sub-clusters by the best threshold along the principal axis (docs/algorithm.md, section 6). */

/** Bins of a histogram of projections. */
export const BINS = 1024;
/** The histogram's range on each side of the mean, in standard deviations. */
export const HALF_RANGE = 6;
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
 * midpoint. Returns the threshold in projection units (rows at or above it are the second sub-cluster); null for fewer than 5
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
 * Unlike two-means it finds a small sub-cluster beside a large one. Null as for `bestThreshold`.
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

/**
 * Axes along which a cluster is least like a Gaussian, by fourth moments of its whitened rows (FOBI; Cardoso, ICASSP 1989;
 * docs/algorithm.md, section 6): two balanced sub-clusters have the least kurtosis, a small sub-cluster far away has the most. Unlike the
 * principal axis, they do not depend on the columns' scales.
 */

/** Most axes of a cluster: half of them with the least, half with the most kurtosis. */
export const MOST_AXES = 8;

/**
 * The axes of a cluster in x, one after the other, along which its rows have a standard deviation of about 1. `F`: Σ‖u‖²uuᵀ of
 * its rows, [D,D], u = inverse·(x − mean). Only along columns that are Gaussian: others are no other shape.
 */
export function shapeAxes(
  F: Float64Array,
  d: number,
  inverse: Float64Array,
  kinds?: ColumnKinds,
): Float64Array[] {
  if (kinds) {
    const { continuous } = kinds;
    const [own, whitening] = [F, inverse].map((matrix) => blockAt(matrix, d, continuous, 'full'));
    return shapeAxes(own, continuous.length, whitening).map((axis) => spreadAt(axis, d, continuous));
  }
  return extremeEigenvectors(F, d, Math.min(d, MOST_AXES)).map((u) => unwhitened(inverse, u));
}

/** Residuals of the eigenvectors of many columns, relative to how far the eigenvalue is from the mean of all. */
const TOLERANCE = 2 ** -6;

/** The eigenvectors of the largest and of the least eigenvalues, as many of each, in descending order. */
function extremeEigenvectors(F: Float64Array, d: number, count: number): Float64Array[] {
  const rows = (vectors: Float64Array) =>
    Array.from({ length: vectors.length / d }, (_, i) => vectors.slice(i * d, (i + 1) * d));
  if (d <= SMALL_IF_ROUGH) {
    const all = rows(symmetricEigen(F, d).vectors);
    return all.filter((_, i) => i < count / 2 || i >= d - count / 2);
  }
  // Nearly all of F is a multiple of I: kurtosis is what it differs by.
  const middle = diagonalOf(F, d).reduce((sum, value) => sum + value, 0) / d;
  const apart = (sign: 1 | -1) => F.map((value, p) => sign * (value - (p % (d + 1) === 0 ? middle : 0)));
  const leading = (a: Float64Array) => rows(roughLeadingEigen(a, d, count / 2, TOLERANCE).vectors);
  return [...leading(apart(1)), ...leading(apart(-1)).reverse()];
}

/**
 * Linear rules, by which a row belongs to the sub-cluster j whose w_j·x + b_j is largest: the nearest centre in a metric, or Fisher's
 * discriminant (docs/algorithm.md, section 6).
 */

/** Weights w_j (D numbers each) and offsets b_j. */
export interface LinearRule {
  readonly weights: Float64Array[];
  readonly offsets: number[];
}

/**
 * The sub-cluster whose centre is nearest in the metric of the covariance that `inverse` whitens. `shares`: the sub-clusters' shares of the
 * rows, by which the larger of two sub-clusters reaches farther.
 */
export function nearestRule(centres: Float64Array[], inverse: Float64Array, shares?: number[]): LinearRule {
  const means = centres.map((centre) => whitened(inverse, centre));
  return {
    weights: means.map((u) => unwhitened(inverse, u)),
    offsets: means.map((u, j) => (shares ? Math.log(shares[j]) : 0) - dot(u, u) / 2),
  };
}

/**
 * Fisher's linear discriminant of the sub-clusters that have rows: the most probable sub-cluster where all have the same covariance, which is
 * estimated from all of them and from the prior's Ψ.
 */
export function discriminantRule(prior: Niw, parts: Parts): LinearRule {
  const { d, covariance } = prior;
  const within = withinCovariance(prior, parts);
  const filled = parts.filter(([n]) => n > 0);
  const total = filled.reduce((sum, [n]) => sum + n, 0);
  return nearestRule(
    filled.map((T) => mean(T, d)),
    whitener(within, d, covariance),
    filled.map(([n]) => n / total),
  );
}

/** The covariance within the sub-clusters, with Ψ for as many rows as it counts. */
function withinCovariance({ d, covariance, psi, nu }: Niw, parts: Parts): Float64Array {
  const within = psi.slice();
  let n = nu - d - 1;
  for (const T of parts) {
    const spread = scatter(T, d, covariance);
    for (let p = 0; p < within.length; p++) within[p] += spread[p];
    n += T[0];
  }
  return within.map((value) => value / n);
}

/** An axis from a sub-cluster to the one that is nearest by the covariance within the sub-clusters. */
export interface DiscriminantAxis {
  axis: Float64Array;
  /** The other sub-cluster. */
  nearest: number;
  /** Half way between their means, along the axis; and how far that is from each of them. */
  centre: number;
  halfway: number;
  /** The standard deviation within the sub-clusters along the axis. */
  sd: number;
}

/**
 * Of each of two or more sub-clusters with rows, the axis along which Fisher's discriminant separates it from the nearest other: of the
 * Gaussian columns, as between two values of a column there is always a valley.
 */
export function discriminantAxes(prior: Niw, parts: Parts): DiscriminantAxis[] {
  const { d, covariance, kinds } = prior;
  if (kinds) {
    const { continuous } = kinds;
    const own = parts.map((T) => statisticsAt(T, d, continuous, covariance));
    return discriminantAxes(gaussianPart(prior, kinds), own).map((found) => ({
      ...found,
      axis: spreadAt(found.axis, d, continuous),
    }));
  }
  const inverse = whitener(withinCovariance(prior, parts), d, covariance);
  const means = parts.map((T) => whitened(inverse, mean(T, d)));
  return means.map((own, j) => {
    let nearest = -1;
    let least = Infinity;
    for (const [other, u] of means.entries()) {
      const distance = u.reduce((sum, value, i) => sum + (value - own[i]) ** 2, 0);
      if (other === j || distance >= least) continue;
      least = distance;
      nearest = other;
    }
    const towards = means[nearest].map((value, i) => value - own[i]);
    const centre = towards.reduce((sum, value, i) => sum + (value * (own[i] + means[nearest][i])) / 2, 0);
    return {
      axis: unwhitened(inverse, towards),
      nearest,
      centre,
      halfway: least / 2,
      sd: Math.sqrt(least) || 1,
    };
  });
}

/** Two sub-clusters: below a threshold along an axis, and from it on. */
export function thresholdRule(axis: Float64Array, at: number): LinearRule {
  return { weights: [axis.map(() => 0), axis], offsets: [0, -at] };
}

/** A valley in the density of rows along an axis (docs/algorithm.md, section 6). */

/** Weights of a bin's neighbours when a histogram is smoothed. */
const KERNEL = [1, 2, 3, 2, 1];
/** Of how many bins a smoothed count has the variance: (Σ weights)²/Σ weights². */
const KERNEL_BINS = 81 / 19;
/** The share of the rows on each side that has to rise above the valley. With single-cluster models in place of valleys USPS has K 9. */
const LEAST_SHARE = 0.3;
/** Standard deviations by which chance may lower the floor: few rows leave gaps in any density. */
const SURENESS = 2;

/**
 * Does the density fall between the bins `from` and `to` and rise again on both sides? True if at least 30 % of the rows on each
 * side lie above what the density at the valley's floor may be, given its rows: in a tail, and in a flat or rising density, they
 * do not. The first and the last bin, in which everything beyond is collected, do not count.
 */
export function hasValley(histogram: Float64Array, from: number, to: number): boolean {
  const inner = histogram.slice(1, -1);
  const smooth = inner.map((_, i) => {
    let [sum, total] = [0, 0];
    for (const [o, weight] of KERNEL.entries()) {
      const value = inner[i + o - (KERNEL.length - 1) / 2];
      if (value === undefined) continue;
      sum += weight * value;
      total += weight;
    }
    return sum / total;
  });
  let floor = Math.max(0, from - 1);
  for (let i = floor; i <= Math.min(smooth.length - 1, to - 1); i++) if (smooth[i] < smooth[floor]) floor = i;
  const onFloor = smooth[floor] * KERNEL_BINS;
  const level = (onFloor + SURENESS * Math.sqrt(onFloor + 1) + SURENESS ** 2 / 4) / KERNEL_BINS;
  const isRaised = (side: Float64Array) => {
    let [above, all] = [0, 0];
    for (const value of side) {
      above += Math.max(0, value - level);
      all += value;
    }
    return above > 0 && above >= LEAST_SHARE * all;
  };
  return isRaised(smooth.subarray(0, floor)) && isRaised(smooth.subarray(floor + 1));
}
