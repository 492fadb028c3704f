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
  const checked = (...[name, ...expected]: Parameters<RunFiles['array']>) => {
    const found = files.array(name, ...expected);
    if (!found.data.every(Number.isFinite)) throw files.damaged(name, 'it has values that are not finite');
    return found;
  };
  const array = (name: string, ...shapes: number[][]) =>
    checked(
      `mixture/${name}.npy`,
      (shape) => shapes.some((other) => String(other) === String(shape)),
      shapes.map((shape) => `shape (${shape.join(', ')})`).join(' or '),
    );
  /** Numbers of which none is negative, nor are all zero. */
  const amounts = (name: string, length: number) => {
    const { data } = array(name, [length]);
    if (data.every((value) => value >= 0) && data.some((value) => value > 0)) return data;
    throw files.damaged(`mixture/${name}.npy`, 'it has negative values, or only zeros');
  };
  const means = checked('mixture/means.npy', ({ length }) => length === 2, 'shape (K, D)');
  const [k, dim] = means.shape;
  if (!k || !dim) throw files.damaged('mixture/means.npy', 'it has no numbers');
  const covariances = array('covariances', [k, dim, dim], [k, dim]);
  return {
    k,
    dim,
    weights: amounts('weights', k),
    means: means.data,
    covariances: covariances.data,
    covariance: covariances.shape.length === 3 ? 'full' : 'diag',
    counts: amounts('counts', k),
  };
}
