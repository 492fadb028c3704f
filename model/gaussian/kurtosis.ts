import {
  cholesky,
  isDiagonal,
  matrixOfDiagonal,
  NotPositiveDefiniteError,
  squaredNorm,
  whitener,
} from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import type { Rng } from '../random.ts';
import { backgroundOutput } from './densities.ts';
import { eStepOf, mostLikely, withConstant } from './estep.ts';
import type { Background } from './noise.ts';

/**
 * Mardia's kurtosis (1970) of the rows of each component, against what the mixture predicts of them. Pieces of a curve, a disc or a sheet end
 * where their shape ends or where the next piece begins, so that their tails are lighter than those of Gaussians.
 */

/** Mean and variance of min(‖u‖², 4D)², u the whitened rows of one component, and how many rows these were estimated from. */
export interface FourthMoment {
  mean: number;
  variance: number;
  rows: number;
}

/** Rows that are drawn. */
const DRAWS = 60_000;
/** Rows of a component, and of these draws, below which its kurtosis is not known. */
const [LEAST_ROWS, LEAST_DRAWS] = [16, 50];

/**
 * The moments that the mixture predicts for the rows that are likeliest in each component: by simulation, as neighbours, and
 * a background, cut off some of its tails.
 */
export function predictedFourthMoments(mixture: Mixture, rng: Rng, background?: Background): FourthMoment[] {
  const { k, d, weights, means, covariances, covariance } = mixture;
  const factors = covariances.map((own) => factorOf(own, d));
  const inverses = covariances.map((own) => whitener(own, d, covariance));
  const counts = Array.from(weights, (weight) => Math.ceil(weight * DRAWS));
  const rows = new Float32Array(counts.reduce((a, b) => a + b, 0) * d);
  const z = new Float64Array(d);
  let at = 0;
  for (const [component, count] of counts.entries())
    for (let drawn = 0; drawn < count; drawn++, at += d) {
      for (let i = 0; i < d; i++) z[i] = rng.normal();
      for (let i = 0; i < d; i++) {
        let x = means[component][i];
        for (let j = 0; j <= i; j++) x += factors[component][i * d + j] * z[j];
        rows[at + i] = x;
      }
    }
  const moments = Array.from({ length: k }, () => ({ sum: 0, squares: 0, rows: 0 }));
  const unit = new Float64Array(d).fill(1);
  const densities = eStepOf(mixture, unit, 'cholesky');
  const all = background ? withConstant(densities, backgroundOutput(background, unit)) : densities;
  for (const [row, label] of mostLikely(all, rows).entries()) {
    if (label === k) continue;
    const apart = means[label].map((mean, i) => rows[row * d + i] - mean);
    const fourth = Math.min(squaredNorm(inverses[label], apart), 4 * d) ** 2;
    moments[label].sum += fourth;
    moments[label].squares += fourth * fourth;
    moments[label].rows++;
  }
  return moments.map(({ sum, squares, rows }) => ({
    mean: sum / rows,
    variance: Math.max(0, squares / rows - (sum / rows) ** 2),
    rows,
  }));
}

/**
 * Standard errors by which the tails of n rows with this sum of min(‖u‖², 4D)² are lighter than predicted; 0 where there are few. By a covariance that
 * was fitted to the same rows, the moment of Gaussians is (n − 1)/(n + 1) of what it is by the true one (Mardia 1974).
 */
export function lightness(n: number, sum: number, { mean, variance, rows }: FourthMoment): number {
  if (n < LEAST_ROWS || rows < LEAST_DRAWS || !(variance > 0)) return 0;
  const fitted = (n - 1) / (n + 1);
  return (fitted * mean - sum / n) / Math.sqrt(variance * (1 / n + 1 / rows));
}

/** Lower triangular, with factor·factorᵀ = covariance, also of a diagonal. */
function factorOf(covariance: Float64Array, d: number): Float64Array {
  if (isDiagonal(covariance, d)) return matrixOfDiagonal(covariance.map(Math.sqrt));
  const factor = cholesky(covariance, d);
  if (!factor) throw new NotPositiveDefiniteError(`a ${d}×${d} matrix is not positive definite`);
  return factor;
}
