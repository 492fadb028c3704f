import { QUANTILES } from './widths.ts';

/**
 * Float32 numbers as 32-bit keys in the same order: neighbours differ by 1. Halving a range of keys narrows a range of numbers
 * to any one of them in at most 32 steps, however far apart its ends are.
 */

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
const SIGN = 0x80000000;

/** The key of a float32 number; −0 has that of 0. NaN has none. */
export function keyOf(value: number): number {
  float[0] = value + 0;
  return (word[0] & SIGN ? ~word[0] : word[0] | SIGN) >>> 0;
}

/** The number with this key. */
export function numberOf(key: number): number {
  word[0] = key & SIGN ? key & ~SIGN : ~key;
  return float[0];
}

/** Writes the keys of one column of rows [n,dim] to `out`. */
export function keysOf(rows: Float32Array, column: number, dim: number, out: Uint32Array): void {
  const words = new Uint32Array(rows.buffer, rows.byteOffset, rows.length);
  for (let i = 0, o = column; i < out.length; i++, o += dim) {
    const bits = words[o];
    out[i] = bits === SIGN ? SIGN : bits & SIGN ? ~bits : bits | SIGN;
  }
}

/**
 * Finds quantiles of columns by histograms that become finer where a quantile lies. Ranges are of keys, so
 * that extremes do not cost more rounds: with 256 bins four give any quantile exactly.
 */

const [FIRST, THIRD, LOWEST, HIGHEST] = QUANTILES.keys();
/** Bins of each histogram; fewer where so many columns would make messages large. */
const MOST_BINS = 256;
const MOST_COUNTS = 1 << 22;
/** Quantiles are known well enough if their ranges are this part of the distance between them. */
const ENOUGH = 0.01;

export const binsFor = (columns: number) =>
  Math.max(4, Math.min(MOST_BINS, 2 ** Math.floor(Math.log2(MOST_COUNTS / (columns * QUANTILES.length)))));

/** The keys `from … to` among which each quantile of each column is, [columns,QUANTILES]. */
export interface KeyRanges {
  from: Uint32Array;
  to: Uint32Array;
  /** Rows whose keys are below `from`. */
  below: Float64Array;
}

/** The least s for which bins of 2^s keys cover a range: a key is in bin ⌊(key − from)/2^s⌋. */
export function binShift(from: number, to: number, bins: number): number {
  let shift = 0;
  while (to - from >= bins * 2 ** shift) shift++;
  return shift;
}

/** The ranges to begin with, from minima and maxima of the columns. */
export function wholeRanges(min: ArrayLike<number>, max: ArrayLike<number>): KeyRanges {
  const repeated = (values: ArrayLike<number>) =>
    Uint32Array.from({ length: values.length * QUANTILES.length }, (_, i) =>
      keyOf(values[Math.floor(i / QUANTILES.length)]),
    );
  const from = repeated(min);
  return { from, to: repeated(max), below: new Float64Array(from.length) };
}

/** The ranges after a round: for each the bin in which its quantile is. `counts`: [columns,QUANTILES,bins]; `rows`: in all. */
export function narrowed(ranges: KeyRanges, counts: Float64Array, bins: number, rows: number): KeyRanges {
  const from = ranges.from.slice();
  const to = ranges.to.slice();
  const below = ranges.below.slice();
  for (let i = 0; i < from.length; i++) {
    const rank = Math.floor(QUANTILES[i % QUANTILES.length] * (rows - 1));
    const width = 2 ** binShift(from[i], to[i], bins);
    const last = Math.floor((to[i] - from[i]) / width);
    let bin = 0;
    while (bin < last && below[i] + counts[i * bins + bin] <= rank) below[i] += counts[i * bins + bin++];
    to[i] = Math.min(to[i], from[i] + (bin + 1) * width - 1);
    from[i] += bin * width;
  }
  return { from, to, below };
}

/** The range from one quantile to another, and how much of it is not known. */
function span({ from, to }: KeyRanges, column: number, low: number, high: number) {
  const [a, b] = [column * QUANTILES.length + low, column * QUANTILES.length + high];
  return {
    low: numberOf(from[a]),
    high: numberOf(to[b]),
    unknown: Math.max(numberOf(to[a]) - numberOf(from[a]), numberOf(to[b]) - numberOf(from[b])),
  };
}

/** Are all quantiles known well enough? */
export function areFound(ranges: KeyRanges): boolean {
  for (let column = 0; column * QUANTILES.length < ranges.from.length; column++) {
    const at = (q: number) => column * QUANTILES.length + q;
    const isFound = (low: number, high: number) => {
      const found = span(ranges, column, low, high);
      return found.unknown <= ENOUGH * (found.high - found.low - 2 * found.unknown);
    };
    const isExact = (low: number, high: number) =>
      [low, high].every((q) => ranges.from[at(q)] === ranges.to[at(q)]);
    const areEqual = isExact(FIRST, THIRD) && ranges.from[at(FIRST)] === ranges.to[at(THIRD)];
    const [low, high] = areEqual ? [LOWEST, HIGHEST] : [FIRST, THIRD];
    if (!isFound(low, high) && !(areEqual && isExact(low, high))) return false;
  }
  return true;
}

/** Distances of the outer quantiles from each other, in those of the quartiles, for a normal distribution. */
const OUTER_TO_INNER = 3.0902323 / 0.6744898;

/**
 * From where to where the bulk of a column reaches, and the distance of its quartiles: of its outer quantiles, in that unit,
 * where the quartiles are equal: most values of such a sparse column are the same. Null if these are equal too.
 */
export function bulkOf(
  ranges: KeyRanges,
  column: number,
): { low: number; high: number; spread: number; isSparse: boolean } | null {
  const inner = span(ranges, column, FIRST, THIRD);
  if (inner.high > inner.low) return { ...inner, spread: inner.high - inner.low, isSparse: false };
  const outer = span(ranges, column, LOWEST, HIGHEST);
  if (!(outer.high > outer.low)) return null;
  return { ...outer, spread: (outer.high - outer.low) / OUTER_TO_INNER, isSparse: true };
}
