/** Whether columns without names are in another order than those that a model was trained on. */

/** Of each column. */
export interface ColumnMoments {
  mean: readonly number[];
  /** The standard deviation. */
  deviation: readonly number[];
}

/** Rows from which it can be told what a column is like. */
const FEWEST_ROWS = 20;
/** How far a column is from those that it does not look like, and from the one that it looks like: see `distance`. */
const FAR = 1;
const NEAR = 0.35;

/** Counts rows; `moved` then tells which of their columns look like other ones of `trained`. */
export function columnWatch(trained: ColumnMoments) {
  const { mean, deviation } = trained;
  const columns = mean.length;
  const unit = deviation.map((value) => value || 1);
  const sums = new Float64Array(columns);
  const squares = new Float64Array(columns);
  let rows = 0;
  return {
    add(values: Float32Array): void {
      for (let at = 0, c = 0; at < values.length; at++, c = c + 1 < columns ? c + 1 : 0) {
        const value = (values[at] - mean[c]) / unit[c];
        sums[c] += value;
        squares[c] += value * value;
      }
      rows += values.length / columns;
    },
    moved(): Map<number, number> | null {
      if (rows < FEWEST_ROWS) return null;
      const means = Array.from(sums, (sum, c) => mean[c] + (unit[c] * sum) / rows);
      const deviations = Array.from(
        squares,
        (square, c) => unit[c] * Math.sqrt(Math.max(0, square / rows - (sums[c] / rows) ** 2)),
      );
      return movedColumns(trained, { mean: means, deviation: deviations });
    },
  };
}

/**
 * Columns that are not like the ones in their places, if these are the same ones in another order: of each the place where it
 * belongs. Null if all are in their places, or some are like no other.
 */
export function movedColumns(trained: ColumnMoments, rows: ColumnMoments): Map<number, number> | null {
  const places = trained.mean.map((_, place) => place);
  const far = places.filter((i) => trained.deviation[i] > 0 && distance(rows, i, trained, i) > FAR);
  const moved = new Map<number, number>();
  for (const i of far) {
    const place = far.reduce((best, j) =>
      distance(rows, i, trained, j) < distance(rows, i, trained, best) ? j : best,
    );
    if (distance(rows, i, trained, place) < NEAR) moved.set(i, place);
  }
  return far.length && new Set(moved.values()).size === far.length ? moved : null;
}

/** Of the means, in standard deviations of the second, and of these, as a logarithm; infinite for one that does not vary. */
const distance = (a: ColumnMoments, i: number, b: ColumnMoments, j: number): number =>
  Math.abs(a.mean[i] - b.mean[j]) / b.deviation[j] + Math.abs(Math.log(a.deviation[i] / b.deviation[j]));
