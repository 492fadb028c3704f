/**
 * Axes along which a cluster is least like a Gaussian, by fourth moments of its whitened rows (FOBI; Cardoso, ICASSP 1989;
 * docs/algorithm.md, section 6): two balanced halves have the least kurtosis, a small part far away has the most. Unlike the
 * principal axis, they do not depend on the columns' scales.
 */
import { roughLeadingEigen, SMALL_IF_ROUGH } from '../leading-eigen.ts';
import { diagonalOf, symmetricEigen, unwhitened } from '../linalg.ts';

/** Most axes of a cluster: half of them with the least, half with the most kurtosis. */
export const MOST_AXES = 8;

/**
 * The axes of a cluster in x, one after the other, along which its rows have a standard deviation of about 1. `F`: Σ‖u‖²uuᵀ of
 * its rows, [D,D], u = inverse·(x − mean).
 */
export function shapeAxes(F: Float64Array, d: number, inverse: Float64Array): Float64Array[] {
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
