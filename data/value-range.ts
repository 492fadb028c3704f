import { MAX_MAGNITUDE } from '../model/arrays.ts';
/** The range of values that can be computed with in float32, and messages about values outside of it. */
import type { Source } from './source.ts';

/** The largest finite float32. */
export const MAX_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;
/** Squared deviations of a column with a smaller standard deviation could underflow to 0 in float32. */
export const MIN_DEVIATION = 1e-18;

/** A number for messages, with three significant digits: `1e9`, `0.25`, `12.5`. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e6) || !Number.isFinite(value))
    return String(Number(value.toPrecision(3)));
  return value
    .toExponential(2)
    .replace(/\.?0*e/, 'e')
    .replace('+', '');
}

/**
 * Locates the first value of a row that cannot be computed with: NaN, infinite, or larger than `largest`. It reads the row in
 * float64, as float32 turns 1e300 into infinity. `where` names row, column and value for a message; `isLarge` is true
 * for a finite value.
 */
export async function diagnoseRow(
  source: Source,
  row: number,
  largest = MAX_MAGNITUDE,
): Promise<{ where: string; isLarge: boolean; isValid: boolean }> {
  const stored = await source.stored(row);
  const column = stored.findIndex((value) => !(Math.abs(value) <= largest));
  if (column < 0) return { where: `row ${row} (counted from 0)`, isLarge: false, isValid: true };
  return {
    where: `row ${row}, column ${column} (counted from 0: ${formatNumber(stored[column])})`,
    isLarge: Number.isFinite(stored[column]),
    isValid: false,
  };
}
