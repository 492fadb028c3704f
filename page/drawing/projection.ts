import { median } from 'd3-array';
import { symmetricEigen } from '../../model/linalg.ts';

/** Projection from D dimensions to those of a picture, for the live page and the report. Covariances are D×D or diagonals. */

export interface Projection {
  /** Orthonormal, at most D; the leading axes of the between-cluster scatter come first. */
  readonly axes: Float64Array[];
  /** Fraction of the between-cluster scatter along each axis; 0 for axes that were added from the scatter within clusters. */
  readonly shares: number[];
  /** Weighted mean of the means. */
  readonly origin: Float64Array;
}

/** Limit on power iterations: with equal eigenvalues they need not converge, and any axis is as good. */
const MAX_ITERATIONS = 300;
const TOLERANCE = 1e-10;

/** The share of the weight below which the smallest clusters, together, are negligible for what a picture shows. */
const LEAST_SHARE = 0.01;

/**
 * For each cluster whether it counts for what a picture shows: all but the smallest, which together have less than a hundredth of the
 * weight. Otherwise single rows far from all others would be all that it shows. All count if fewer than two were left.
 */
export function notNegligible(weights: ArrayLike<number>): boolean[] {
  const smallestFirst = Array.from(weights, (_, c) => c).sort((a, b) => weights[a] - weights[b] || b - a);
  const counts = smallestFirst.map(() => true);
  let rest = LEAST_SHARE * sum(weights);
  for (const c of smallestFirst) {
    rest -= weights[c];
    if (rest <= 0) break;
    counts[c] = false;
  }
  return counts.filter(Boolean).length < 2 ? counts.map(() => true) : counts;
}

/** Clusters are far if they reach so many times as far from the middle as all nearer ones: beside them, these would be a dot. */
const FAR = 3;
/** Far ones have at most these shares of the weight and of the clusters (or are one): more of them are what there is to see. */
const [MOST_WEIGHT_FAR, MOST_FAR] = [0.25, 0.1];

/**
 * For each cluster whether it counts for what a picture shows: all that are not negligible but the few that are far from all others,
 * which alone would determine axes and extent. `radii`: how far clusters reach from their centres. A centre may be NaN, of a cluster that
 * the picture does not have.
 */
export function inPicture(
  weights: ArrayLike<number>,
  centres: readonly ArrayLike<number>[],
  radii: ArrayLike<number>,
): boolean[] {
  const counts = notNegligible(weights).map((is, c) => is && Number.isFinite(centres[c][0]));
  const own = [...counts.keys()].filter((c) => counts[c]);
  if (own.length < 3) return counts;
  const middle = Float64Array.from(centres[0], (_, i) => median(own, (c) => centres[c][i])!);
  const reach = Float64Array.from(centres, (centre, c) => {
    const offset = middle.map((value, i) => centre[i] - value);
    return Math.sqrt(dot(offset, offset)) + radii[c];
  });
  own.sort((a, b) => reach[a] - reach[b]);
  let last = own.length - 1;
  let weight = MOST_WEIGHT_FAR * sum(weights);
  for (let at = last; at > own.length - 1 - Math.max(1, MOST_FAR * own.length) && at > 1; at--) {
    weight -= weights[own[at]];
    if (weight < 0) break;
    const nearer = reach[own[at - 1]];
    if (nearer > 0 && reach[own[last]] > FAR * nearer) last = at - 1;
  }
  for (const c of own.slice(last + 1)) counts[c] = false;
  return counts;
}

/**
 * The `count` leading axes of Σ w (μ−m)(μ−m)ᵀ, of the clusters that are in the picture. If the centres span fewer dimensions
 * (K ≤ `count`, or collinear centres), directions of largest variance in the covariance `within` follow. The largest component of each axis is positive.
 */
export function leadingAxes(
  allWeights: ArrayLike<number>,
  means: ArrayLike<number>[],
  within: Float64Array,
  count: number,
): Projection {
  const k = means.length;
  const d = means[0].length;
  const radius = 2 * Math.sqrt(trace(within, d) / d);
  const counts = inPicture(allWeights, means, new Float64Array(k).fill(radius));
  const weights = counts.map((is, c) => (is ? allWeights[c] : 0));
  const total = sum(weights) || 1;
  const parts = weights.map((weight) => weight / total);
  const origin = combine(means, parts, d);
  const rows = means.map((mean, c) =>
    Float64Array.from(mean, (value, i) => Math.sqrt(parts[c]) * (value - origin[i])),
  );
  const scatter = rows.reduce((all, row) => all + dot(row, row), 0);
  const axes: Float64Array[] = [];
  const shares: number[] = [];
  // XᵀX and XXᵀ have the same nonzero eigenvalues: decompose the smaller one.
  const dual = k < d;
  const size = dual ? k : d;
  const factors = dual ? rows : Array.from({ length: d }, (_, i) => Float64Array.from(rows, (row) => row[i]));
  const product = Float64Array.from(factors.flatMap((a) => factors.map((b) => dot(a, b))));
  const { values, vectors } = symmetricEigen(product, size);
  // Ignore differences between centres that are negligible compared with the clusters' widths.
  const noise = 1e-9 * (scatter + trace(within, d));
  for (let a = 0; a < Math.min(count, size) && values[a] > noise; a++) {
    const vector = vectors.subarray(a * size, (a + 1) * size);
    const axis = dual ? combine(rows, vector, d) : Float64Array.from(vector);
    if (!orthonormalise(axis, axes)) break;
    axes.push(axis);
    shares.push(values[a] / scatter);
  }
  while (axes.length < Math.min(count, d)) {
    axes.push(widest(within, d, axes));
    shares.push(0);
  }
  axes.forEach(makeLargestPositive);
  return { axes, shares, origin };
}

/** Σ w_k Σ_k / Σ w_k. */
export function pooledCovariance(
  weights: ArrayLike<number>,
  covariances: readonly ArrayLike<number>[],
): Float64Array {
  const total = sum(weights) || 1;
  const shares = Array.from(weights, (weight) => weight / total);
  return combine(covariances, shares, covariances[0].length);
}

/** Flips axes to agree in sign with the previous ones: otherwise the picture could be mirrored between updates. */
export function alignAxes(axes: Float64Array[], previous: readonly Float64Array[]): void {
  axes.forEach((axis, a) => {
    const old = previous[a];
    if (old?.length === axis.length && dot(axis, old) < 0) negate(axis);
  });
}

/** Coordinates of rows x·`scale` − origin on the axes, as [N, count]; missing axes give 0. */
export function projectRows(
  rows: Float32Array,
  scale: ArrayLike<number>,
  { axes, origin }: Projection,
  count: number,
): Float32Array {
  const d = origin.length;
  const n = rows.length / d;
  const out = new Float32Array(n * count);
  axes.forEach((axis, a) => {
    const along = axis.map((value, i) => value * scale[i]);
    const start = dot(axis, origin);
    for (let i = 0; i < n; i++) {
      let value = -start;
      for (let j = 0; j < d; j++) value += rows[i * d + j] * along[j];
      out[i * count + a] = value;
    }
  });
  return out;
}

/** AᵀΣA as [count, count]. */
export function projectCovariance(
  covariance: ArrayLike<number>,
  axes: readonly Float64Array[],
  count: number,
): Float64Array {
  const out = new Float64Array(count * count);
  axes.forEach((axis, a) => {
    const image = times(covariance, axis, axis.length);
    for (let b = 0; b < axes.length; b++) out[a * count + b] = dot(image, axes[b]);
  });
  return out;
}

/** Σv. */
export function times(matrix: ArrayLike<number>, v: Float64Array, d: number): Float64Array {
  if (!isFull(matrix, d)) return v.map((value, i) => matrix[i] * value);
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) out[i] += matrix[i * d + j] * v[j];
  return out;
}

export const trace = (matrix: ArrayLike<number>, d: number): number => sum(diagonalOf(matrix, d));

const diagonalOf = (matrix: ArrayLike<number>, d: number) =>
  Float64Array.from({ length: d }, (_, i) => matrix[isFull(matrix, d) ? i * d + i : i]);

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let all = 0;
  for (let i = 0; i < a.length; i++) all += a[i] * b[i];
  return all;
}

const isFull = (matrix: ArrayLike<number>, d: number) => matrix.length === d * d;

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

/** The sum of rows of `d` numbers, each times a factor. */
function combine(rows: readonly ArrayLike<number>[], by: ArrayLike<number>, d: number): Float64Array {
  const out = new Float64Array(d);
  for (const [r, row] of rows.entries()) for (let i = 0; i < d; i++) out[i] += by[r] * row[i];
  return out;
}

/** Makes `v` orthogonal to the others and of unit length, in place; false if it is linearly dependent on them. */
function orthonormalise(v: Float64Array, others: readonly Float64Array[]): boolean {
  const before = Math.sqrt(dot(v, v));
  for (let again = 0; again < 2; again++)
    for (const other of others) {
      const along = dot(v, other);
      for (let i = 0; i < v.length; i++) v[i] -= along * other[i];
    }
  const length = Math.sqrt(dot(v, v));
  if (!(length > 1e-9 * before)) return false;
  for (let i = 0; i < v.length; i++) v[i] /= length;
  return true;
}

const negate = (axis: Float64Array) => void axis.set(axis.map((value) => -value));

function makeLargestPositive(axis: Float64Array): void {
  if (axis.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0) < 0) negate(axis);
}

/** The direction of largest variance orthogonal to `others`, by deterministic power iteration. */
function widest(within: Float64Array, d: number, others: readonly Float64Array[]): Float64Array {
  const variances = diagonalOf(within, d);
  const byVariance = [...variances.keys()].sort((a, b) => variances[b] - variances[a]);
  let axis: Float64Array = new Float64Array(d);
  for (const start of byVariance) {
    // Perturbed, as an exact unit vector might be an eigenvector of a small eigenvalue.
    for (let i = 0; i < d; i++) axis[i] = i === start ? 1 : 0.01 / (1 + i);
    if (orthonormalise(axis, others)) break;
  }
  for (let round = 0; round < MAX_ITERATIONS; round++) {
    const next = times(within, axis, d);
    if (!orthonormalise(next, others)) break;
    const turned = 1 - Math.abs(dot(axis, next));
    axis = next;
    if (turned < TOLERANCE) break;
  }
  return axis;
}
