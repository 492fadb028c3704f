import type { Fences } from '../../../data/fences.ts';
import { type Moments, planTransform } from '../../../data/transform.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { roughLeadingEigen, signalAxes } from '../../../model/principal-axes.ts';

/** Enough digits to tell signal from noise. */
const TOLERANCE = 2 ** -8;
/** Two rows differ along one axis, of which nobody knows if it is noise; but they are too few for the graph. */
const FEWEST_ROWS = 3;

/** Mean and covariance of n sample rows. */
export interface SampleCovariance {
  n: number;
  mean: Float64Array;
  covariance: Float64Array;
}

/** That of n rows whose sum is `s` and whose products add up to `S`. */
export function covarianceOfSums(n: number, s: Float64Array, S: Float64Array): SampleCovariance {
  const d = s.length;
  const mean = s.map((value) => value / n);
  const covariance = S.map((value, p) => value / n - mean[Math.floor(p / d)] * mean[p % d]);
  return { n, mean, covariance };
}

/**
 * The number of principal axes that are signal; and, if there are some, but at most `most`, the projection onto them. `varying`:
 * how many columns vary.
 */
export function planSignal(
  { n, mean, covariance }: SampleCovariance,
  moments: Moments,
  varying: number,
  most: number,
  fences: Fences | null,
) {
  const { values } = roughLeadingEigen(covariance, mean.length, Math.min(varying, most + 1), TOLERANCE);
  const trace = diagonalOf(covariance, mean.length).reduce((a, b) => a + b, 0);
  const signal = n < FEWEST_ROWS ? 1 : signalAxes(values, trace, varying, n);
  const isLow = signal > 0 && signal <= most;
  return {
    signal,
    planned: isLow ? planTransform(`pca:${signal}`, { ...moments, mean, covariance }, fences) : null,
  };
}
