import { statisticsLength } from '../../../model/statistics.ts';

/**
 * φ(x) = (1, x, vech xxᵀ) holds every product of two entries of (1, x) once. So it is (1,x)A ∘ (1,x)B with A and B of
 * zeros and ones (exact), and φ(x)·θ is the quadratic form (1,x)M(1,x)ᵀ: ways to both for devices that have no loops.
 */

/** Φ is made as such up to this many dimensions; from there on products with (1, x) take its place. */
export const WIDEST_PHI = 32;

/** P, the length of φ(x). */
export const phiLength = (dim: number, diagonal: boolean) =>
  statisticsLength(dim, diagonal ? 'diag' : 'full');

/** The two factors of each entry of φ, by their place in (1, x). */
function factorPairs(dim: number): [number, number][] {
  const pairs: [number, number][] = [[0, 0]];
  for (let d = 1; d <= dim; d++) pairs.push([0, d]);
  for (let d = 1; d <= dim; d++) for (let e = d; e <= dim; e++) pairs.push([d, e]);
  return pairs;
}

/** A (side 0) or B (side 1), [1+D,P]. */
export function chosenFactor(dim: number, side: 0 | 1): Float32Array {
  const p = phiLength(dim, false);
  const out = new Float32Array((1 + dim) * p);
  factorPairs(dim).forEach((pair, column) => {
    out[pair[side] * p + column] = 1;
  });
  return out;
}

/** Where in θ each entry of M stands, row by row, M's lower triangle being zero: place P, one behind the last. */
export function squarePlaces(dim: number): Int32Array {
  const side = 1 + dim;
  const out = new Int32Array(side * side).fill(phiLength(dim, false));
  factorPairs(dim).forEach(([i, j], p) => {
    out[i * side + j] = p;
  });
  return out;
}

/** Where in (1,x)(1,x)ᵀ, row by row, each entry of φ stands. */
export function pairPlaces(dim: number): Int32Array {
  return Int32Array.from(factorPairs(dim), ([i, j]) => i * (1 + dim) + j);
}
