/** The transform to features: what is clustered of rows with many columns, such as embeddings. */
import { UserError } from '../base/user-error.ts';
import { diagonalOf } from '../model/linalg.ts';
import { leadingEigen, roughLeadingEigen, signalAxes } from '../model/principal-axes.ts';
import type { Fences } from './fences.ts';
import { type ColumnMap, type Moments, planTransform, type Transform } from './transform.ts';

/** Most axes onto which features are projected. */
export const MOST_FEATURE_AXES = 64;
/** Axes with a smaller share of the largest eigenvalue are rounding error. */
const NEGLIGIBLE = 1e-10;
/**
 * Residuals of the axes, relative to the largest eigenvalue. Any orthonormal axes that span nearly as much serve: at 768 columns
 * these span 1 − 3e-6 of what the 64 leading ones do, where eigenvalues fall as 1/√i, in a third of the time.
 */
const TOLERANCE = 2 ** -8;

/**
 * The column map (x − centre)·factor of raw rows, in the form x·factor + shift. Columns that are not in `kept`, as they do
 * not vary, have factor and shift 0: if one does vary in rows to come, it must not change their length.
 */
export function featureColumns(
  centre: Float64Array,
  factor: Float64Array,
  kept: readonly number[],
): ColumnMap {
  const map = { factor: new Float32Array(centre.length), shift: new Float32Array(centre.length) };
  for (const d of kept) {
    map.factor[d] = factor[d];
    // By the rounded factor: the centre then is where rows are 0. (From 0, as −0 does not survive JSON.)
    map.shift[d] = 0 - centre[d] * map.factor[d];
  }
  return map;
}

export interface FeaturesInput {
  /** As `featureColumns` takes them: [input], [input], and the indices of the columns that vary. */
  centre: Float64Array;
  factor: Float64Array;
  kept: readonly number[];
  /** Of the sample's rows after this column map, scaled to unit length: [input], and [input,input]. */
  mean: Float64Array;
  covariance: Float64Array;
  /** Axes that are wanted. There are fewer if the data span fewer, and never more than `MOST_FEATURE_AXES`. */
  axes: number;
  fences: Fences | null;
}

/**
 * The transform y = u·weights + bias, where u is (row − centre)·factor scaled to unit length: u minus its mean, projected onto
 * its leading principal axes. It is not whitened, as the leading axes tell clusters apart: all axes are divided by the same
 * standard deviation s, with which the y have variance 1 on average. x = y·s keeps the distances between the u. Also the
 * eigenvalues, descending: the variances of x along its axes, which are uncorrelated. UserError if u does not vary.
 */
export function planFeatures({ centre, factor, kept, mean, covariance, axes, fences }: FeaturesInput): {
  transform: Transform;
  eigenvalues: Float64Array;
} {
  const input = centre.length;
  const wanted = Math.min(axes, kept.length, MOST_FEATURE_AXES);
  const { values, vectors } = leadingEigen(covariance, input, wanted, TOLERANCE);
  const eigenvalues = values.filter((value) => value > NEGLIGIBLE * values[0]);
  const dim = eigenvalues.length;
  if (!dim) throw new UserError('all rows are equal: use data with different rows');
  const s = Math.sqrt(eigenvalues.reduce((sum, value) => sum + value, 0) / dim);
  const weights = new Float32Array(input * dim);
  const bias = new Float64Array(dim);
  for (let d = 0; d < input; d++)
    for (let a = 0; a < dim; a++) {
      weights[d * dim + a] = vectors[a * input + d] / s;
      bias[a] -= mean[d] * weights[d * dim + a];
    }
  return {
    eigenvalues,
    transform: {
      before: featureColumns(centre, factor, kept),
      normalize: true,
      input,
      dim,
      columns: null,
      weights,
      bias: Float32Array.from(bias),
      scale: new Float64Array(dim).fill(s),
      offset: new Float64Array(dim),
      fences,
    },
  };
}

/** Enough digits to tell signal from noise. */
const SIGNAL_TOLERANCE = 2 ** -8;
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
  const { values } = roughLeadingEigen(
    covariance,
    mean.length,
    Math.min(varying, most + 1),
    SIGNAL_TOLERANCE,
  );
  const trace = diagonalOf(covariance, mean.length).reduce((a, b) => a + b, 0);
  const signal = n < FEWEST_ROWS ? 1 : signalAxes(values, trace, varying, n);
  const isLow = signal > 0 && signal <= most;
  return {
    signal,
    planned: isLow ? planTransform(`pca:${signal}`, { ...moments, mean, covariance }, fences) : null,
  };
}
