/** Whether the values of a column are on a grid of few points: ratings, small counts, rounded numbers (docs/algorithm.md, section 3). */

/** Steps of a grid, at most. Noise of half a step is nothing to a cluster that spans many of more. */
const MOST_STEPS = 64;
/** How far from a point of the grid a value may be, in steps: values are rounded to float32. */
const ROUNDING = 1e-3;
/** The same for numbers that have been rounded to fewer bits, at most: of one decimal in float16, a twenty-fifth. */
const MOST_ROUNDING = 0.1;
/** Rows for each value, at least, without which few rows are not told from continuous ones. */
const ROWS_PER_VALUE = 2;

/**
 * A value is an atom from this share of the rows on, and from so many times the next frequent one's on, which has at most the last share: of values of one
 * decimal, a tenth of a cluster's deviation apart, 1 to 2 %. Ties by rounding in wine, iris and penguins are up to twice the next.
 */
const [ATOM, TIMES, FREQUENT] = [0.01, 3, 0.025];
const FEWEST = 5;
const ENOUGH = 50;

/** The one value that a share of the rows has, of a column that is continuous otherwise, and the share of those that have another; null: there is none. */
export function atomOf(values: ArrayLike<number>): { value: number; others: number } | null {
  const n = values.length;
  const counts = new Map<number, number>();
  for (let i = 0; i < n; i++) counts.set(values[i], (counts.get(values[i]) ?? 0) + 1);
  const [first, second = [0, 0]] = [...counts].sort((a, b) => b[1] - a[1]);
  if (n < ENOUGH || counts.size < ENOUGH) return null;
  const isAtom = first[1] >= Math.max(ATOM * n, FEWEST, TIMES * second[1]);
  return isAtom && second[1] <= Math.max(FREQUENT * n, 1)
    ? { value: first[0], others: 1 - first[1] / n }
    : null;
}

/**
 * The step of the grid; 0 where there is none, and for columns of one or two values. `error`: the relative rounding error of values
 * that were of fewer bits than float32 has.
 */
export function gridStep(values: ArrayLike<number>, error = 0): number {
  const distinct = Float64Array.from(new Set(Array.from(values))).sort();
  const { length } = distinct;
  if (length < 3 || length > MOST_STEPS + 1 || length * ROWS_PER_VALUE > values.length) return 0;
  const least = distinct.reduce(
    (least, value, i) => (i ? Math.min(least, value - distinct[i - 1]) : least),
    Infinity,
  );
  // Of the distance of two values.
  const off = 2 * error * Math.max(Math.abs(distinct[0]), Math.abs(distinct[length - 1]));
  if (off > MOST_ROUNDING * least) return 0;
  const isStep = (step: number) => {
    const slack = Math.max(ROUNDING, off / step);
    const places = distinct.map((value) => (value - distinct[0]) / step);
    if (!(places[length - 1] <= MOST_STEPS + slack)) return false;
    return places.every((place) => Math.abs(place - Math.round(place)) <= slack);
  };
  return candidates(distinct[length - 1] - distinct[0], least, off).find(isStep) ?? 0;
}

/** Steps that the least distance of two values may be, which is that far off: parts of the range, which is exact enough. */
function candidates(range: number, least: number, off: number): number[] {
  if (!off) return [least];
  const [fewest, most] = [Math.ceil(range / (least + off)), Math.floor(range / (least - off))];
  return Array.from({ length: Math.max(0, most - fewest + 1) }, (_, i) => range / (fewest + i));
}
