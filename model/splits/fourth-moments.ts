/**
 * Axes along which a cluster is least like a Gaussian, by fourth moments of its whitened rows (FOBI; Cardoso, ICASSP 1989;
 * docs/algorithm.md, section 6): two balanced halves have the least kurtosis, a small part far away has the most. Unlike the
 * principal axis, they do not depend on the columns' scales.
 */
import { symmetricEigen, unwhitened } from '../linalg.ts';

/** Most axes of a cluster: half of them with the least, half with the most kurtosis. */
export const MOST_AXES = 8;

/**
 * The axes of a cluster in x, one after the other, along which its rows have a standard deviation of about 1. `F`: Σ‖u‖²uuᵀ of
 * its rows, [D,D], u = inverse·(x − mean).
 */
export function shapeAxes(F: Float64Array, d: number, inverse: Float64Array): Float64Array[] {
  const { vectors } = symmetricEigen(F, d);
  const count = Math.min(d, MOST_AXES);
  return Array.from({ length: count }, (_, i) => {
    const at = i < count / 2 ? i : d - count + i;
    return unwhitened(inverse, vectors.subarray(at * d, (at + 1) * d));
  });
}
