import { symmetricEigen } from '../model/linalg.ts';

/** Axes that the picture may be turned among. */
const AXES = 3;

export interface Axes {
  /** Orthonormal, at most three; the leading ones of between-cluster scatter come first. */
  readonly axes: Float64Array[];
  /** Share of the between-cluster scatter that lies along each; 0 for those that had to be filled in. */
  readonly shares: number[];
  /** Weighted mean of the means. */
  readonly origin: Float64Array;
}

/**
 * The leading axes of Σ w (μ−m)(μ−m)ᵀ. Where the clusters span fewer than three (K = 1, 2, 3), the directions in which
 * `within`, a D×D covariance (or its diagonal), is largest follow.
 */
export function leadingAxes(
  weights: ArrayLike<number>,
  means: ArrayLike<number>[],
  within: Float64Array,
): Axes {
  const k = means.length;
  const d = means[0].length;
  const total = sum(weights) || 1;
  const origin = new Float64Array(d);
  means.forEach((mean, c) => {
    for (let i = 0; i < d; i++) origin[i] += (weights[c] / total) * mean[i];
  });
  const rows = means.map((mean, c) =>
    Float64Array.from(mean, (value, i) => Math.sqrt(weights[c] / total) * (value - origin[i])),
  );
  const scatter = rows.reduce((all, row) => all + dot(row, row), 0);
  const axes: Float64Array[] = [];
  const shares: number[] = [];
  // Both products have the same eigenvalues: the smaller one is taken.
  const dual = k < d;
  const size = dual ? k : d;
  const product = new Float64Array(size * size);
  if (dual)
    for (let a = 0; a < k; a++) for (let b = 0; b < k; b++) product[a * k + b] = dot(rows[a], rows[b]);
  else
    for (const row of rows)
      for (let a = 0; a < d; a++) for (let b = 0; b < d; b++) product[a * d + b] += row[a] * row[b];
  const { values, vectors } = symmetricEigen(product, size);
  const noise = 1e-9 * (scatter + trace(within, d));
  for (let a = 0; a < Math.min(AXES, size) && values[a] > noise; a++) {
    const vector = vectors.subarray(a * size, (a + 1) * size);
    const axis = dual ? combine(rows, vector, d) : Float64Array.from(vector);
    if (!orthonormalise(axis, axes)) break;
    axes.push(axis);
    shares.push(values[a] / scatter);
  }
  while (axes.length < Math.min(AXES, d)) {
    axes.push(widest(within, d, axes));
    shares.push(0);
  }
  return { axes, shares, origin };
}

/** Turns axes by their sign so that they point the way of those before; free signs would make the picture flip. */
export function alignAxes(axes: Float64Array[], before: readonly Float64Array[]): void {
  axes.forEach((axis, a) => {
    const old = before[a];
    if (old?.length === axis.length && dot(axis, old) < 0)
      for (let i = 0; i < axis.length; i++) axis[i] *= -1;
  });
}

/** x·axes of rows (times `scale`, less the origin) as [N, 3]; axes that are missing give 0. */
export function projectRows(
  rows: Float32Array,
  scale: ArrayLike<number>,
  { axes, origin }: Axes,
): Float32Array {
  const d = origin.length;
  const n = rows.length / d;
  const out = new Float32Array(n * AXES);
  axes.forEach((axis, a) => {
    const along = axis.map((value, i) => value * scale[i]);
    const start = dot(axis, origin);
    for (let i = 0; i < n; i++) {
      let value = -start;
      for (let j = 0; j < d; j++) value += rows[i * d + j] * along[j];
      out[i * AXES + a] = value;
    }
  });
  return out;
}

/** AᵀΣA as 3×3, of a D×D covariance or of its diagonal. */
export function projectCovariance(covariance: ArrayLike<number>, { axes, origin }: Axes): Float64Array {
  const out = new Float64Array(AXES * AXES);
  axes.forEach((axis, a) => {
    const image = times(covariance, axis, origin.length);
    for (let b = 0; b < axes.length; b++) out[a * AXES + b] = dot(image, axes[b]);
  });
  return out;
}

/** Σv, Σ being D×D or only its diagonal. */
export function times(matrix: ArrayLike<number>, v: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d);
  const full = isFull(matrix, d);
  for (let i = 0; i < d; i++) {
    if (!full) out[i] = matrix[i] * v[i];
    else for (let j = 0; j < d; j++) out[i] += matrix[i * d + j] * v[j];
  }
  return out;
}

export function trace(matrix: ArrayLike<number>, d: number): number {
  const full = isFull(matrix, d);
  let all = 0;
  for (let i = 0; i < d; i++) all += matrix[full ? i * d + i : i];
  return all;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let all = 0;
  for (let i = 0; i < a.length; i++) all += a[i] * b[i];
  return all;
}

const isFull = (matrix: ArrayLike<number>, d: number) => matrix.length === d * d;

const sum = (values: ArrayLike<number>) => {
  let all = 0;
  for (let i = 0; i < values.length; i++) all += values[i];
  return all;
};

function combine(rows: Float64Array[], by: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d);
  rows.forEach((row, r) => {
    for (let i = 0; i < d; i++) out[i] += by[r] * row[i];
  });
  return out;
}

/** Makes `v` of unit length and orthogonal to the others; false if nothing is left of it. */
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

/** The direction, orthogonal to `others`, in which the covariance is largest: power iteration, good enough to look at. */
function widest(within: Float64Array, d: number, others: readonly Float64Array[]): Float64Array {
  const full = isFull(within, d);
  const byVariance = [...Array(d).keys()].sort(
    (a, b) => within[full ? b * d + b : b] - within[full ? a * d + a : a],
  );
  let v = new Float64Array(d);
  for (const start of byVariance) {
    v.fill(0);
    // Not quite a unit vector, which might be an eigenvector of a small eigenvalue.
    for (let i = 0; i < d; i++) v[i] = i === start ? 1 : 0.01 / (1 + i);
    if (orthonormalise(v, others)) break;
  }
  for (let step = 0; step < 60; step++) {
    const next = times(within, v, d);
    if (!orthonormalise(next, others)) return v;
    v = next as Float64Array<ArrayBuffer>;
  }
  return v;
}
