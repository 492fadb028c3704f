import type { Source } from './source.ts';

/** Beyond it squares and their sums do not fit in float32. */
export const LARGEST = 1e18;
/** Of float32. */
export const LARGEST_FLOAT = (2 - 2 ** -23) * 2 ** 127;
/** Columns that vary less have squares that float32 takes for zero. */
export const SMALLEST_DEVIATION = 1e-18;

/** A number for people: `1e9`, `0.25`, `12.5`. */
export function brief(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e6) || !Number.isFinite(value))
    return String(Number(value.toPrecision(3)));
  return value
    .toExponential(2)
    .replace(/\.?0*e/, 'e')
    .replace('+', '');
}

/**
 * Why a row cannot be computed with, from what its file has in double precision: float32 turns 1e300 into infinity.
 * `where` names the row, its column and the value. Of finite numbers only those beyond `largest` are at fault.
 */
export async function whyUnusable(
  source: Source,
  row: number,
  largest = LARGEST,
): Promise<{ where: string; isLarge: boolean }> {
  const stored = await source.stored(row);
  const column = stored.findIndex((value) => !(Math.abs(value) <= largest));
  if (column < 0) return { where: `row ${row} (counted from 0)`, isLarge: false };
  return {
    where: `row ${row}, column ${column} (counted from 0: ${brief(stored[column])})`,
    isLarge: Number.isFinite(stored[column]),
  };
}
