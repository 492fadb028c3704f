import { blockAt } from './gaussian/columns.ts';
import { rank } from './linalg.ts';

/**
 * Columns that are linear functions of others, up to the rounding of float32. They tell a Gaussian mixture nothing, but leave its covariances
 * singular; and two equal columns of two values would be evidence for clusters, as within one they count as independent. Which of some
 * columns go is a matter of their order alone: those that are left span the same.
 */

/** A column, and those that it is a linear function of. */
export interface Dependent {
  column: number;
  on: number[];
}

/** The share of a column's variance that others may leave unexplained, at first: as of `rank`. */
const ROUNDING = 1e-12;
const WIDER = 10;
/** A smaller standardised coefficient is rounding error. */
const COEFFICIENT = 1e-3;

/**
 * Those of the columns `free` that follow from the ones `given`, and from those before them. The others have full rank as far as they
 * are `continuous`. `covariance`: [d,d], in which each of the columns varies.
 */
export function dependentColumns(
  covariance: Float64Array,
  d: number,
  { given, free, continuous }: Record<'given' | 'free' | 'continuous', readonly number[]>,
): Dependent[] {
  const isFree = new Set(free);
  // What many columns leave of one by rounding can be more than what two do.
  for (let share = ROUNDING; ; share *= WIDER) {
    const found = explained(covariance, d, [...given, ...free], share).filter(({ column }) =>
      isFree.has(column),
    );
    const gone = new Set(found.map(({ column }) => column));
    const left = continuous.filter((column) => !gone.has(column));
    if (rank(blockAt(covariance, d, left, 'full'), left.length) === left.length) return found;
  }
}

/** The columns of which those before them explain all variance but this share: their rows in a Cholesky factor of the others would end near 0. */
function explained(
  covariance: Float64Array,
  d: number,
  order: readonly number[],
  share: number,
): Dependent[] {
  const sd = Float64Array.from({ length: d }, (_, i) => Math.sqrt(covariance[i * d + i]));
  const factor: Float64Array[] = [];
  const kept: number[] = [];
  const found: Dependent[] = [];
  for (const column of order) {
    const row = new Float64Array(kept.length + 1);
    let rest = 1;
    for (const [i, other] of kept.entries()) {
      let value = covariance[column * d + other] / (sd[column] * sd[other]);
      for (let j = 0; j < i; j++) value -= row[j] * factor[i][j];
      row[i] = value / factor[i][i];
      rest -= row[i] * row[i];
    }
    if (rest > share) {
      row[kept.length] = Math.sqrt(rest);
      factor.push(row);
      kept.push(column);
      continue;
    }
    const coefficients = row.slice(0, kept.length);
    for (let i = kept.length - 1; i >= 0; i--) {
      for (let j = i + 1; j < kept.length; j++) coefficients[i] -= factor[j][i] * coefficients[j];
      coefficients[i] /= factor[i][i];
    }
    found.push({ column, on: kept.filter((_, i) => Math.abs(coefficients[i]) > COEFFICIENT) });
  }
  return found;
}
