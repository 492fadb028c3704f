import type { RunFiles } from './run-files.ts';

/** `mixture/` of a run directory. Arrays are row-major. */
export interface SavedMixture {
  k: number;
  dim: number;
  /** K. */
  weights: Float64Array;
  /** K×D. */
  means: Float64Array;
  /** K×D×D, or K×D: the diagonals. */
  covariances: Float64Array;
  covariance: 'full' | 'diag';
  /** K. */
  counts: Float64Array;
}

/** Reads the mixture of a finished run. UserError where a file is missing or damaged, or does not fit the others. */
export function readSavedMixture(files: RunFiles): SavedMixture {
  const array = (name: string, ...shapes: number[][]) =>
    files.array(
      `mixture/${name}.npy`,
      (shape) => shapes.some((other) => String(other) === String(shape)),
      shapes.map((shape) => `shape (${shape.join(', ')})`).join(' or '),
    );
  const means = files.array('mixture/means.npy', ({ length }) => length === 2, 'shape (K, D)');
  const [k, dim] = means.shape;
  if (!k || !dim) throw files.damaged('mixture/means.npy', 'it has no numbers');
  const covariances = array('covariances', [k, dim, dim], [k, dim]);
  return {
    k,
    dim,
    weights: array('weights', [k]).data,
    means: means.data,
    covariances: covariances.data,
    covariance: covariances.shape.length === 3 ? 'full' : 'diag',
    counts: array('counts', [k]).data,
  };
}
