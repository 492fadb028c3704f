import type { Mixture } from '../model/mixture.ts';

/** From D dimensions to the two of paper. */

export type Vector = Float64Array;

export interface Projection {
  /** Two orthonormal axes; one where D is 1. */
  axes: Vector[];
  /** The share of the scatter between clusters that each axis shows; null where there is none. */
  shares: (number | null)[];
}

/** Where a round of iteration stops at the latest; axes of equal length never settle, and any of them will do. */
const ROUNDS = 300;
const TOLERANCE = 1e-10;

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/**
 * The two leading axes of the scatter between clusters, Σ π_k (μ_k − μ̄)(μ_k − μ̄)ᵀ. Where that has fewer (K ≤ 2, or
 * centres on a line), the leading axes within clusters at a right angle to them.
 */
export function betweenAxes(mixture: Mixture): Projection {
  const { d } = mixture;
  const between = betweenScatter(mixture);
  const total = between.rows.reduce((sum, row, k) => sum + between.weights[k] * dot(row, row), 0);
  const within = pooled(mixture);
  // Shifts of the centres that are nothing beside the clusters' own width make no axis.
  const least = 1e-9 * (total + trace(within, d));
  const axes: Vector[] = [];
  const shares: (number | null)[] = [];
  while (axes.length < Math.min(2, d)) {
    const found = leadingAxis(between.times, d, axes);
    const length = dot(found, between.times(found));
    if (length > least) {
      axes.push(found);
      shares.push(length / total);
    } else {
      axes.push(leadingAxis((v) => multiply(within, v), d, axes));
      shares.push(null);
    }
  }
  return { axes, shares };
}

function betweenScatter({ d, weights, means }: Mixture) {
  const centre = new Float64Array(d);
  means.forEach((mean, k) => {
    for (let i = 0; i < d; i++) centre[i] += weights[k] * mean[i];
  });
  const rows = means.map((mean) => mean.map((value, i) => value - centre[i]));
  const times = (v: Vector) => {
    const out = new Float64Array(d);
    rows.forEach((row, k) => {
      const factor = weights[k] * dot(row, v);
      for (let i = 0; i < d; i++) out[i] += factor * row[i];
    });
    return out;
  };
  return { rows, weights, times };
}

/** Σ π_k Σ_k: D×D, or D where diagonal. */
function pooled({ weights, covariances }: Mixture): Vector {
  const out = new Float64Array(covariances[0].length);
  covariances.forEach((covariance, k) => {
    for (let p = 0; p < out.length; p++) out[p] += weights[k] * covariance[p];
  });
  return out;
}

const trace = (matrix: Vector, d: number) => {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += matrix[matrix.length === d ? i : i * d + i];
  return sum;
};

/** A symmetric matrix, or its diagonal, times a vector. */
export function multiply(matrix: Vector, v: Vector): Vector {
  const d = v.length;
  if (matrix.length === d) return v.map((value, i) => value * matrix[i]);
  return v.map((_, i) => dot(matrix.subarray(i * d, (i + 1) * d), v));
}

/**
 * The axis that `times`, a symmetric positive semi-definite matrix, stretches most among those at a right angle to
 * `others`. By iteration from a fixed start: the same on every machine. Its largest component is positive.
 */
export function leadingAxis(times: (v: Vector) => Vector, d: number, others: Vector[]): Vector {
  let axis = startAxis(d, others);
  for (let round = 0; round < ROUNDS; round++) {
    const next = unit(times(axis), others);
    if (!next) break;
    const turned = 1 - Math.abs(dot(axis, next));
    axis = next;
    if (turned < TOLERANCE) break;
  }
  const largest = axis.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best), 0);
  return largest < 0 ? axis.map((v) => -v) : axis;
}

/** Of no particular direction, so that it has a part along any axis. */
function startAxis(d: number, others: Vector[]): Vector {
  const mixed = Float64Array.from({ length: d }, (_, i) => 1 + ((i * 7919 + 13) % 101) / 101);
  const found = unit(mixed, others);
  if (found) return found;
  for (let i = 0; i < d; i++) {
    const basis = unit(
      Float64Array.from({ length: d }, (_, j) => Number(i === j)),
      others,
    );
    if (basis) return basis;
  }
  throw new RangeError(`no ${others.length + 1} axes in ${d} dimensions`);
}

/** At a right angle to `others` and of length 1; null where nothing is left. */
export function unit(vector: Vector, others: Vector[]): Vector | null {
  const before = Math.sqrt(dot(vector, vector));
  let rest = vector;
  for (let twice = 0; twice < 2; twice++)
    for (const other of others) {
      const along = dot(rest, other);
      rest = rest.map((value, i) => value - along * other[i]);
    }
  const length = Math.sqrt(dot(rest, rest));
  return length > 1e-9 * before && length > 0 ? rest.map((value) => value / length) : null;
}

/** Covariance along two axes: [var 1, cov, var 2]. `matrix`: D×D or its diagonal. */
export function projected(matrix: Vector, [a, b]: Vector[]): [number, number, number] {
  const [ma, mb] = [multiply(matrix, a), multiply(matrix, b)];
  return [dot(a, ma), dot(a, mb), dot(b, mb)];
}

/** Where a quarter circle's Bézier handles end. */
const HANDLE = 0.5522847498;

/**
 * The ellipse of all points at `radius` standard deviations, as a closed path of four Bézier curves; `place` maps
 * coordinates to paper and must be affine.
 */
export function ellipsePath(
  [cx, cy]: readonly number[],
  [xx, xy, yy]: readonly number[],
  radius: number,
  place: (x: number, y: number) => string,
): string {
  // The Cholesky factor takes the unit circle to the ellipse.
  const a = Math.sqrt(Math.max(0, xx));
  const b = a > 0 ? xy / a : 0;
  const c = Math.sqrt(Math.max(0, yy - b * b));
  const at = (u: number, v: number) => place(cx + radius * a * u, cy + radius * (b * u + c * v));
  const h = HANDLE;
  return `M${at(1, 0)}C${at(1, h)} ${at(h, 1)} ${at(0, 1)}C${at(-h, 1)} ${at(-1, h)} ${at(-1, 0)}C${at(-1, -h)} ${at(-h, -1)} ${at(0, -1)}C${at(h, -1)} ${at(1, -h)} ${at(1, 0)}Z`;
}
