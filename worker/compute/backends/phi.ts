import { statisticsLength } from '../../../model/statistics.ts';

/**
 * φ(x) = (1, x, vech xxᵀ) contains every product of two entries of (1, x) once. So φ(x) = (1,x)A ∘ (1,x)B with matrices A and
 * B of zeros and ones (exact), and φ(x)·θ is a quadratic form (1,x)M(1,x)ᵀ. Devices without loops compute both this way.
 */

/** Up to this many dimensions φ is computed as such; above, products with (1, x) take its place. */
export const WIDEST_PHI = 32;

/** P, the length of φ(x). */
export const phiLength = (dim: number, diagonal: boolean) =>
  statisticsLength(dim, diagonal ? 'diag' : 'full');

/** For each entry of φ the indices in (1, x) of its two factors. */
function factorPairs(dim: number): [number, number][] {
  const pairs: [number, number][] = [[0, 0]];
  for (let d = 1; d <= dim; d++) pairs.push([0, d]);
  for (let d = 1; d <= dim; d++) for (let e = d; e <= dim; e++) pairs.push([d, e]);
  return pairs;
}

/** The matrix A (side 0) or B (side 1), [1+D,P], which selects one factor of each entry of φ. */
export function selectionMatrix(dim: number, side: 0 | 1): Float32Array {
  const p = phiLength(dim, false);
  const out = new Float32Array((1 + dim) * p);
  factorPairs(dim).forEach((pair, column) => {
    out[pair[side] * p + column] = 1;
  });
  return out;
}

/** For each entry of M, row by row, its index in θ; P, one past the end, for the zeros of the lower triangle. */
export function formIndices(dim: number): Int32Array {
  const side = 1 + dim;
  const out = new Int32Array(side * side).fill(phiLength(dim, false));
  factorPairs(dim).forEach(([i, j], p) => {
    out[i * side + j] = p;
  });
  return out;
}

/** For each entry of φ its index in (1,x)(1,x)ᵀ, row by row. */
export function productIndices(dim: number): Int32Array {
  return Int32Array.from(factorPairs(dim), ([i, j]) => i * (1 + dim) + j);
}
