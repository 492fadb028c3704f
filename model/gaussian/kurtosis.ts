import { congruent, diagonalOf, minus, squaredNorm, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import { type Covariance, mean, scatter } from '../statistics.ts';
import type { SimulatedRows } from './simulated-rows.ts';

/**
 * Mardia's kurtosis (1970) of the rows of each component, against what the mixture predicts of them. Pieces of a curve, a disc or a sheet end
 * where their shape ends or where the next piece begins, so that their tails are lighter than those of Gaussians.
 */

/** Of the whitened rows u of a component: how many, the means of ‖u‖² and of min(‖u‖², 4D)². */
export interface WhitenedMoments {
  rows: number;
  second: number;
  fourth: number;
}

/** The same that a mixture predicts, and the variance of what a row adds to the kurtosis. */
export interface PredictedMoments extends WhitenedMoments {
  variance: number;
}

/** Rows of a component, and of drawn ones, below which its kurtosis is not known. */
const [LEAST_ROWS, LEAST_DRAWS] = [16, 50];

/** What the mixture predicts for the rows that are likeliest in each component, by rows drawn from it. */
export function predictedMoments(mixture: Mixture, { rows, labels }: SimulatedRows): PredictedMoments[] {
  const { k, d, means, covariances, covariance } = mixture;
  const inverses = covariances.map((own) => whitener(own, d, covariance));
  const squares = Array.from({ length: k }, (): number[] => []);
  const apart = new Float64Array(d);
  for (const [row, label] of labels.entries()) {
    if (label === k) continue;
    const mean = means[label];
    for (let i = 0; i < d; i++) apart[i] = rows[row * d + i] - mean[i];
    squares[label].push(squaredNorm(inverses[label], apart));
  }
  return squares.map((own) => momentsOf(own, d));
}

function momentsOf(squares: readonly number[], d: number): PredictedMoments {
  const rows = squares.length;
  const average = (of: (square: number) => number) =>
    squares.reduce((sum, square) => sum + of(square), 0) / rows;
  const fourthOf = (square: number) => Math.min(square, 4 * d) ** 2;
  const second = average((square) => square);
  const fourth = average(fourthOf);
  // fourth/second², linear in what a row adds.
  const added = (square: number) => (fourthOf(square) - (2 * fourth * square) / second) / second ** 2;
  const centre = average(added);
  return { rows, second, fourth, variance: average((square) => (added(square) - centre) ** 2) };
}

/**
 * Standard errors by which the kurtosis fourth/second² of a component's rows is less than predicted; 0 where there are few. As a ratio it is the same under a
 * covariance that a prior has widened; that was fitted to the same rows takes (n − 1)/(n + 1) of it (Mardia 1974).
 */
export function lightness(own: WhitenedMoments, predicted: PredictedMoments): number {
  if (own.rows < LEAST_ROWS || predicted.rows < LEAST_DRAWS || !(predicted.variance > 0)) return 0;
  const expected = (kurtosis(predicted) * (own.rows - 1)) / (own.rows + 1);
  return (expected - kurtosis(own)) / Math.sqrt(predicted.variance * (1 / own.rows + 1 / predicted.rows));
}
const kurtosis = ({ second, fourth }: WhitenedMoments) => fourth / second ** 2;

/** Σ‖inverse·(x − centre)‖² of the rows with these statistics. */
export function sumOfSquares(
  T: Float64Array,
  centre: Float64Array,
  inverse: Float64Array,
  covariance: Covariance,
): number {
  const d = centre.length;
  const spread = scatter(T, d, covariance);
  const variances =
    covariance === 'diag'
      ? spread.map((value, i) => value * inverse[i] ** 2)
      : diagonalOf(congruent(inverse, spread, d), d);
  return variances.reduce((a, b) => a + b, 0) + T[0] * squaredNorm(inverse, minus(mean(T, d), centre));
}
