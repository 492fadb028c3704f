/** Small dense linear algebra on flat row-major D×D matrices of float64. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { Covariance } from './statistics.ts';

/** A matrix that has to be positive definite is not so in float64: clusters are too flat for their statistics. */
export class NotPositiveDefiniteError extends Error {}

/** x·y, added up in order. */
export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

/** Is `a` the diagonal of a D×D matrix rather than the entire matrix? */
export const isDiagonal = (a: ArrayLike<number>, d: number) => a.length === d;

/** The diagonal of a matrix that is given entirely or by its diagonal alone. */
export function diagonalOf(a: Float64Array, d: number): Float64Array {
  return isDiagonal(a, d) ? a : Float64Array.from({ length: d }, (_, i) => a[i * d + i]);
}

/** The lower Cholesky factor L, A = L·Lᵀ, of the symmetric `a` (only its lower triangle is read); null when not positive definite. */
export function cholesky(a: Float64Array, d: number): Float64Array | null {
  const l = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    const row = i * d;
    for (let j = 0; j <= i; j++) {
      const other = j * d;
      let sum = a[row + j];
      for (let p = 0; p < j; p++) sum -= l[row + p] * l[other + p];
      if (i !== j) l[row + j] = sum / l[other + j];
      else if (sum > 0 && sum < Infinity) l[row + i] = Math.sqrt(sum);
      else return null;
    }
  }
  return l;
}

/** log|A| of a symmetric positive definite matrix. Throws a NotPositiveDefiniteError for another one. */
export function logDet(a: Float64Array, d: number): number {
  const l = cholesky(a, d);
  if (!l) throw new NotPositiveDefiniteError(`a ${d}×${d} matrix is not positive definite`);
  let sum = 0;
  for (let i = 0; i < d; i++) sum += Math.log(l[i * d + i]);
  return 2 * sum;
}

/** L⁻¹, lower triangular, of a lower-triangular L with non-zero diagonal. */
export function invertLower(l: Float64Array, d: number): Float64Array {
  const inverse = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    const row = i * d;
    for (let p = 0; p < i; p++) {
      const factor = l[row + p];
      for (let j = 0; j <= p; j++) inverse[row + j] -= factor * inverse[p * d + j];
    }
    for (let j = 0; j < i; j++) inverse[row + j] /= l[row + i];
    inverse[row + i] = 1 / l[row + i];
  }
  return inverse;
}

/** `inverse` with inverse·a·inverseᵀ = I, lower triangular; of a diagonal matrix, given as its diagonal, the diagonal. */
export function whitener(a: Float64Array, d: number, cov: Covariance): Float64Array {
  if (cov === 'diag') return a.map((value) => 1 / Math.sqrt(value));
  const factor = cholesky(a, d);
  if (!factor) throw new NotPositiveDefiniteError(`a ${d}×${d} matrix is not positive definite`);
  return invertLower(factor, d);
}

/** inverse·x. */
export function whitened(inverse: Float64Array, x: Float64Array): Float64Array {
  const d = x.length;
  if (inverse.length === d) return x.map((value, i) => inverse[i] * value);
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) out[i] += inverse[i * d + j] * x[j];
  return out;
}

/** inverseᵀ·u: the weights in x of the linear function u·(inverse·x). */
export function unwhitened(inverse: Float64Array, u: Float64Array): Float64Array {
  const d = u.length;
  if (inverse.length === d) return u.map((value, i) => inverse[i] * value);
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) out[j] += inverse[i * d + j] * u[i];
  return out;
}

/**
 * Eigenvalues (descending) and orthonormal eigenvectors (row i belongs to value i) of a symmetric matrix. The sign of each
 * vector is fixed by making its component of largest magnitude (the first one on a tie) positive.
 */
export function symmetricEigen(a: Float64Array, d: number): { values: Float64Array; vectors: Float64Array } {
  const evd = new EigenvalueDecomposition(Matrix.from1DArray(d, d, a), { assumeSymmetric: true });
  const eigenvalues = evd.realEigenvalues;
  const order = [...eigenvalues.keys()].sort((i, j) => eigenvalues[j] - eigenvalues[i]);
  const vectors = new Float64Array(d * d);
  order.forEach((column, i) => {
    const vector = evd.eigenvectorMatrix.getColumn(column);
    const sign = canonicalSign(vector);
    for (let j = 0; j < d; j++) vectors[i * d + j] = sign * vector[j];
  });
  return { values: Float64Array.from(order, (i) => eigenvalues[i]), vectors };
}

/** The sign that makes the vector's component of largest magnitude (the first one on a tie) positive. */
export function canonicalSign(vector: ArrayLike<number>): 1 | -1 {
  let largest = 0;
  for (let i = 0; i < vector.length; i++) if (Math.abs(vector[i]) > Math.abs(largest)) largest = vector[i];
  return largest < 0 ? -1 : 1;
}

/**
 * Numerical rank of a D×D covariance matrix: the number of eigenvalues of the *correlation* matrix, so that the columns'
 * units do not matter, above 1e-12 of the largest. Rows are float32: a direction whose standard deviation is below
 * 1e-6 of the largest has nothing but rounding error.
 */
export function rank(a: Float64Array, d: number): number {
  const inverseSd = Float64Array.from({ length: d }, (_, i) =>
    a[i * d + i] > 0 ? 1 / Math.sqrt(a[i * d + i]) : 0,
  );
  const correlation = a.map((v, p) => v * inverseSd[Math.floor(p / d)] * inverseSd[p % d]);
  const { values } = symmetricEigen(correlation, d);
  return values.filter((v) => v > 1e-12 * values[0]).length;
}
