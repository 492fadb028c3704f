/** By which columns the rows of a cluster differ from all others. */

export interface Contrast {
  /** From 0. */
  column: number;
  /** Mean of the cluster's rows less that of all others, in standard deviations of all rows. */
  difference: number;
  mean: number;
  /** Mean of all others. */
  rest: number;
}

/**
 * The columns with the largest differences, at most `most`, the largest first. `counts`: rows of each cluster, `sums` their sums by
 * column, `squares` Σx² of all rows by column. Columns that are constant differ nowhere; nor does anything where there is no other
 * row. `isMeant`: is a difference in this column to be named?
 */
export function contrastsOf(
  counts: readonly number[],
  sums: readonly Float64Array[],
  squares: Float64Array,
  most: number,
  isMeant: (column: number) => boolean = () => true,
): Contrast[][] {
  const rows = counts.reduce((a, b) => a + b, 0);
  const total = squares.map((_, j) => sums.reduce((sum, own) => sum + own[j], 0));
  const sd = squares.map((square, j) => deviation(rows, total[j], square));
  return counts.map((n, c) => {
    if (n === 0 || n === rows) return [];
    const all: Contrast[] = [];
    for (let column = 0; column < sd.length; column++) {
      if (!(sd[column] > 0) || !isMeant(column)) continue;
      const mean = sums[c][column] / n;
      const rest = (total[column] - sums[c][column]) / (rows - n);
      all.push({ column, mean, rest, difference: (mean - rest) / sd[column] });
    }
    all.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference) || a.column - b.column);
    return all.slice(0, most);
  });
}

/** Below this share of the mean square, a variance is what rounding has left. */
const ROUNDING = 1e-13;

function deviation(rows: number, sum: number, square: number): number {
  const variance = square / rows - (sum / rows) ** 2;
  return variance > (ROUNDING * square) / rows ? Math.sqrt(variance) : 0;
}
