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

/** x − y. */
export const minus = (x: Float64Array, y: Float64Array): Float64Array => x.map((value, i) => value - y[i]);

/** Is `a` the diagonal of a D×D matrix rather than the entire matrix? */
export const isDiagonal = (a: ArrayLike<number>, d: number) => a.length === d;

/** The D×D matrix with this diagonal. */
export function matrixOfDiagonal(diagonal: Float64Array): Float64Array {
  const d = diagonal.length;
  const out = new Float64Array(d * d);
  for (const [i, value] of diagonal.entries()) out[i * d + i] = value;
  return out;
}

/** The diagonal of a matrix that is given entirely or by its diagonal alone. */
export function diagonalOf(a: Float64Array, d: number): Float64Array {
  return isDiagonal(a, d) ? a : Float64Array.from({ length: d }, (_, i) => a[i * d + i]);
}

/**
 * The lower Cholesky factor L, A = L·Lᵀ, of the symmetric `a` (only its lower triangle is read); null when not positive definite.
 * Each number is a sum in the order of the columns, however many are computed at a time.
 */
export function cholesky(a: Float64Array, d: number): Float64Array | null {
  const l = new Float64Array(d * d);
  for (let i = 0; i < d; i += 4) {
    const isWhole = i + 4 <= d;
    if (isWhole) factorFourRows(a, l, i, d);
    for (let r = i; r < d && r < i + 4; r++) {
      const row = r * d;
      for (let j = isWhole ? i : 0; j <= r; j++) {
        const other = j * d;
        let sum = a[row + j];
        for (let p = 0; p < j; p++) sum -= l[row + p] * l[other + p];
        if (r !== j) l[row + j] = sum / l[other + j];
        else if (sum > 0 && sum < Infinity) l[row + r] = Math.sqrt(sum);
        else return null;
      }
    }
  }
  return l;
}

/**
 * The first i numbers (a multiple of 4) in the rows i … i + 3 of a Cholesky factor, given the rows above. Four rows and two columns at a
 * time: a single sum would wait for each addition, and each number that is loaded serves more than one.
 */
function factorFourRows(a: Float64Array, l: Float64Array, i: number, d: number): void {
  const [r0, r1, r2, r3] = [i * d, (i + 1) * d, (i + 2) * d, (i + 3) * d];
  for (let j = 0, q = 0; j < i; j += 2, q += 2 * d) {
    const next = q + d;
    let s0 = a[r0 + j];
    let s1 = a[r1 + j];
    let s2 = a[r2 + j];
    let s3 = a[r3 + j];
    let t0 = a[r0 + j + 1];
    let t1 = a[r1 + j + 1];
    let t2 = a[r2 + j + 1];
    let t3 = a[r3 + j + 1];
    for (let p = 0; p < j; p++) {
      const u = l[q + p];
      const v = l[next + p];
      const l0 = l[r0 + p];
      const l1 = l[r1 + p];
      const l2 = l[r2 + p];
      const l3 = l[r3 + p];
      s0 -= l0 * u;
      s1 -= l1 * u;
      s2 -= l2 * u;
      s3 -= l3 * u;
      t0 -= l0 * v;
      t1 -= l1 * v;
      t2 -= l2 * v;
      t3 -= l3 * v;
    }
    const own = l[q + j];
    const below = l[next + j];
    const last = l[next + j + 1];
    l[r0 + j] = s0 /= own;
    l[r1 + j] = s1 /= own;
    l[r2 + j] = s2 /= own;
    l[r3 + j] = s3 /= own;
    l[r0 + j + 1] = (t0 - s0 * below) / last;
    l[r1 + j + 1] = (t1 - s1 * below) / last;
    l[r2 + j + 1] = (t2 - s2 * below) / last;
    l[r3 + j + 1] = (t3 - s3 * below) / last;
  }
}

/** `root` with root·rootᵀ = a, lower triangular; of a diagonal matrix, given as its diagonal, the diagonal. Throws a NotPositiveDefiniteError. */
export function rootOf(a: Float64Array, d: number, cov: Covariance): Float64Array {
  if (cov === 'diag') return a.map(Math.sqrt);
  const root = cholesky(a, d);
  if (!root) throw new NotPositiveDefiniteError(`a ${d}×${d} matrix is not positive definite`);
  return root;
}

/** log|A| of a symmetric positive definite matrix. Throws a NotPositiveDefiniteError for another one. */
export function logDet(a: Float64Array, d: number): number {
  const l = rootOf(a, d, 'full');
  let sum = 0;
  for (let i = 0; i < d; i++) sum += Math.log(l[i * d + i]);
  return 2 * sum;
}

/** L⁻¹, lower triangular, of a lower-triangular L with non-zero diagonal. */
export function invertLower(l: Float64Array, d: number): Float64Array {
  const inverse = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    const row = i * d;
    let p = 0;
    // Four rows at a time, so that each number is loaded and stored less often; beyond their diagonals they are 0.
    for (; p + 4 <= i; p += 4) {
      const [first, second, third, fourth] = [p * d, (p + 1) * d, (p + 2) * d, (p + 3) * d];
      const [f0, f1, f2, f3] = [l[row + p], l[row + p + 1], l[row + p + 2], l[row + p + 3]];
      for (let j = 0; j < p + 4; j++)
        inverse[row + j] =
          inverse[row + j] -
          f0 * inverse[first + j] -
          f1 * inverse[second + j] -
          f2 * inverse[third + j] -
          f3 * inverse[fourth + j];
    }
    for (; p < i; p++) {
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
  return invertLower(rootOf(a, d, cov), d);
}

/** inverse·x. */
export function whitened(inverse: Float64Array, x: Float64Array): Float64Array {
  const d = x.length;
  if (inverse.length === d) return x.map((value, i) => inverse[i] * value);
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) out[i] += inverse[i * d + j] * x[j];
  return out;
}

/** Moves rows [n,D], in place, so that their mean is 0; returns where it was. */
export function moveToMean(rows: Float64Array, d: number): Float64Array {
  const mean = new Float64Array(d);
  const n = rows.length / d;
  for (let p = 0; p < rows.length; p++) mean[p % d] += rows[p] / n;
  for (let p = 0; p < rows.length; p++) rows[p] -= mean[p % d];
  return mean;
}

/** Of each of some rows [n,D], inverse·(row − centre). */
export function whitenedRows(rows: Float64Array, centre: Float64Array, inverse: Float64Array): Float64Array {
  const d = centre.length;
  const out = new Float64Array(rows.length);
  const isDiag = isDiagonal(inverse, d);
  for (let at = 0; at < rows.length; at += d)
    for (let i = 0; i < d; i++) {
      let u = 0;
      for (let j = isDiag ? i : 0, p = isDiag ? i : i * d; j <= i; j++, p++)
        u += inverse[p] * (rows[at + j] - centre[j]);
      out[at + i] = u;
    }
  return out;
}

/** ‖inverse·x‖², without an array for what is inside. */
export function squaredNorm(inverse: Float64Array, x: Float64Array): number {
  const d = x.length;
  let sum = 0;
  if (isDiagonal(inverse, d)) for (let i = 0; i < d; i++) sum += (inverse[i] * x[i]) ** 2;
  else
    for (let i = 0, p = 0; i < d; i++, p = i * d) {
      let u = 0;
      for (let j = 0; j <= i; j++) u += inverse[p + j] * x[j];
      sum += u * u;
    }
  return sum;
}

/** The rows of a lower triangular D×D matrix up to its diagonal, one after the other; a diagonal, given as such, as it is. */
export function packedLower(a: Float64Array, d: number): Float64Array {
  if (isDiagonal(a, d)) return a;
  const out = new Float64Array((d * (d + 1)) / 2);
  for (let i = 0, p = 0; i < d; i++) for (let j = 0; j <= i; j++) out[p++] = a[i * d + j];
  return out;
}

/**
 * ‖Rx_q − at‖² of four vectors, x[4·D] with x_q in every fourth place from q, into `out`: four sums that do not wait for each other. R, packed as by
 * `packedLower`, begins at `from`.
 */
export function fourSquaredDistances(
  root: Float64Array | Float32Array,
  from: number,
  covariance: Covariance,
  at: Float64Array,
  x: Float64Array,
  out: Float64Array,
): void {
  out.fill(0);
  for (let i = 0, p = from; i < at.length; i++) {
    let u0 = -at[i];
    let u1 = u0;
    let u2 = u0;
    let u3 = u0;
    const end = 4 * i;
    for (let j = covariance === 'full' ? 0 : end; j <= end; j += 4, p++) {
      const r = root[p];
      u0 += r * x[j];
      u1 += r * x[j + 1];
      u2 += r * x[j + 2];
      u3 += r * x[j + 3];
    }
    out[0] += u0 * u0;
    out[1] += u1 * u1;
    out[2] += u2 * u2;
    out[3] += u3 * u3;
  }
}

/** inverseᵀ·u: the weights in x of the linear function u·(inverse·x). */
export function unwhitened(inverse: Float64Array, u: Float64Array): Float64Array {
  const d = u.length;
  if (inverse.length === d) return u.map((value, i) => inverse[i] * value);
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) out[j] += inverse[i * d + j] * u[i];
  return out;
}

/** L·A·Lᵀ of a lower triangular L and a symmetric A, both D×D. */
export function congruent(l: Float64Array, a: Float64Array, d: number): Float64Array {
  const rows = Array.from({ length: d }, (_, j) => whitened(l, a.subarray(j * d, (j + 1) * d)));
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++)
    for (let p = 0; p <= i; p++) {
      let sum = 0;
      for (let j = 0; j <= p; j++) sum += l[p * d + j] * rows[j][i];
      out[i * d + p] = out[p * d + i] = sum;
    }
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

/** A multiple of `rank`'s limit that rounding in a Cholesky factor cannot reach. */
const CLEAR_RANK = 1e-9;

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
  // No eigenvalue exceeds D. If all are clearly above the limit, a factor exists, which takes far less time than they do.
  const less = correlation.map((v, p) => (p % (d + 1) === 0 ? v - CLEAR_RANK * d : v));
  if (cholesky(less, d)) return d;
  const { values } = symmetricEigen(correlation, d);
  return values.filter((v) => v > 1e-12 * values[0]).length;
}
