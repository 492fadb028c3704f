import { cholesky, invertLower, unwhitened, whitened } from '../../model/linalg.ts';
import type { StepValue } from '../../model/steps.ts';

/**
 * Cells that are not known: those with one exact value of a continuous column, where an imputation has put it (docs/algorithm.md,
 * section 3). As they are, each such value is a cluster; in place of it they get a number that rows like theirs have. `columns` of a raw row, and
 * the value of each that stands for an unknown one; `donors`: rows that have none of these values, row-major.
 */
export type Fill = StepValue<'fill'>;

/** So many donors are near, at least, or this times the columns: a regression on all columns needs more than these. */
const [FEWEST_NEAR, NEAR_BY_COLUMN] = [20, 4];
/** Of the mean variance of the columns near a row, in the regression: there they may be collinear. */
const RIDGE = 1e-2;

/** How many donors are near a row of so many columns. */
export const nearDonors = (dim: number): number => Math.max(FEWEST_NEAR, NEAR_BY_COLUMN * dim);

/** Which columns of the row at `at` are not known. */
const unknownIn = ({ columns, values }: Pick<Fill, 'columns' | 'values'>, rows: Float32Array, at: number) =>
  columns.filter((column, c) => rows[at + column] === values[c]);

/** Those of the rows, of `dim` numbers, in which all cells are known. */
export function wholeRows(
  rows: Float32Array,
  dim: number,
  atoms: Pick<Fill, 'columns' | 'values'>,
): Float32Array {
  const whole: number[] = [];
  for (let at = 0; at < rows.length; at += dim)
    if (!unknownIn(atoms, rows, at).length) whole.push(...rows.subarray(at, at + dim));
  return Float32Array.from(whole);
}

/**
 * Fills the unknown cells of raw rows, of `dim` numbers, in place: by a linear regression on the row's other cells over the donors nearest to it,
 * plus the residual of the nearest (a local residual draw). It depends on nothing but the row, so that a row has the same cells whoever reads it.
 */
export function fillCells(fill: Fill, rows: Float32Array, dim: number): void {
  const { donors } = fill;
  const [mean, factor] = momentsOf(donors, dim);
  const placed = standardized(donors, dim, mean, factor);
  for (let at = 0; at < rows.length; at += dim) {
    const unknown = unknownIn(fill, rows, at);
    if (!unknown.length) continue;
    const known = Int32Array.from(mean.keys()).filter((d) => factor[d] > 0 && !unknown.includes(d));
    const row = standardized(rows.subarray(at, at + dim), dim, mean, factor);
    const near = nearest(placed, dim, known, row);
    const x = centred(placed, near, known);
    const d = known.length;
    const inverse = inverseRootOf(x, d);
    const first = near[0];
    for (const column of unknown) {
      const products = new Float64Array(d);
      // x has mean 0, so that of the column does not matter.
      for (let r = 0, p = 0; r < near.length; r++) {
        const value = donors[near[r] + column] - mean[column];
        for (let i = 0; i < d; i++, p++) products[i] += x[p] * value;
      }
      const slopes = unwhitened(inverse, whitened(inverse, products));
      // The mean and the residual of the nearest are its value, less what the regression says of it.
      let value = donors[first + column];
      for (let i = 0; i < d; i++) value += slopes[i] * (row[known[i]] - placed[first + known[i]]);
      rows[at + column] = value;
    }
  }
}

/** The means of rows by column, and what divides by their standard deviations; 0 for a column that is constant. */
function momentsOf(rows: Float32Array, dim: number): [mean: Float64Array, factor: Float64Array] {
  const mean = new Float64Array(dim);
  const squares = new Float64Array(dim);
  const n = rows.length / dim;
  for (let p = 0; p < rows.length; p++) mean[p % dim] += rows[p] / n;
  for (let p = 0; p < rows.length; p++) squares[p % dim] += (rows[p] - mean[p % dim]) ** 2 / n;
  return [mean, squares.map((square) => (square > 0 ? 1 / Math.sqrt(square) : 0))];
}

function standardized(
  rows: Float32Array,
  dim: number,
  mean: Float64Array,
  factor: Float64Array,
): Float64Array {
  const out = new Float64Array(rows.length);
  for (let p = 0; p < rows.length; p++) out[p] = (rows[p] - mean[p % dim]) * factor[p % dim];
  return out;
}

/** Where the donors nearest to a row by these columns start, nearest first, the first ones on ties. */
function nearest(donors: Float64Array, dim: number, columns: Int32Array, row: Float64Array): Int32Array {
  const most = Math.min(nearDonors(dim), donors.length / dim);
  const starts = new Int32Array(most);
  const distances = new Float64Array(most).fill(Infinity);
  for (let start = 0; start < donors.length; start += dim) {
    const worst = distances[most - 1];
    let distance = 0;
    for (let i = 0; i < columns.length && distance < worst; i++) {
      const gap = donors[start + columns[i]] - row[columns[i]];
      distance += gap * gap;
    }
    if (distance >= worst) continue;
    let place = most - 1;
    for (; place > 0 && distances[place - 1] > distance; place--) {
      distances[place] = distances[place - 1];
      starts[place] = starts[place - 1];
    }
    distances[place] = distance;
    starts[place] = start;
  }
  return starts;
}

/** These columns of the rows that start at `starts`, less their means. */
function centred(rows: Float64Array, starts: Int32Array, columns: Int32Array): Float64Array {
  const d = columns.length;
  const out = new Float64Array(starts.length * d);
  const mean = new Float64Array(d);
  for (let r = 0, p = 0; r < starts.length; r++)
    for (let i = 0; i < d; i++, p++) mean[i] += (out[p] = rows[starts[r] + columns[i]]) / starts.length;
  for (let p = 0; p < out.length; p++) out[p] -= mean[p % d];
  return out;
}

/** L⁻¹ of XᵀX + λI = L·Lᵀ, of centred rows X of d numbers. */
function inverseRootOf(rows: Float64Array, d: number): Float64Array {
  const scatter = new Float64Array(d * d);
  for (let at = 0; at < rows.length; at += d)
    for (let i = 0; i < d; i++) {
      const own = rows[at + i];
      for (let j = 0; j <= i; j++) scatter[i * d + j] += own * rows[at + j];
    }
  let trace = 0;
  for (let i = 0; i < d; i++) trace += scatter[i * d + i];
  // Where all near donors are equal the slopes are 0.
  const ridge = (RIDGE * trace) / d || 1;
  for (let i = 0; i < d; i++) scatter[i * d + i] += ridge;
  return invertLower(cholesky(scatter, d)!, d);
}
