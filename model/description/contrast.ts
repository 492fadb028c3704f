/** What tells a cluster apart: columns in which its rows differ from all others. */

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

/** Means that differ by less are alike, in standard deviations of all rows; and those that chance may have moved, in standard errors. */
const [SMALL_DIFFERENCE, CHANCE] = [0.1, 5];

/** The columns that vary, but whose mean is about the same in all clusters; arguments as of `contrastsOf`. */
export function alikeColumns(
  counts: readonly number[],
  sums: readonly Float64Array[],
  squares: Float64Array,
): number[] {
  const differences = contrastsOf(counts, sums, squares, squares.length).map((own, c) => {
    const least = Math.max(SMALL_DIFFERENCE, CHANCE / Math.sqrt(counts[c]));
    return own.map(({ column, difference }) => ({ column, isAlike: Math.abs(difference) < least }));
  });
  const all = new Set(differences.flat().map(({ column }) => column));
  for (const { column, isAlike } of differences.flat()) if (!isAlike) all.delete(column);
  return [...all].sort((a, b) => a - b);
}

/** Below this share of the mean square, a variance is what rounding has left. */
const ROUNDING = 1e-13;

function deviation(rows: number, sum: number, square: number): number {
  const variance = square / rows - (sum / rows) ** 2;
  return variance > (ROUNDING * square) / rows ? Math.sqrt(variance) : 0;
}
