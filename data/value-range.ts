import { distance } from 'fastest-levenshtein';
import { yieldToEventLoop } from '../base/slices.ts';
import { MAX_MAGNITUDE } from '../model/arrays.ts';
import type { Source } from './source.ts';
import { isNumbered } from './tables/table.ts';

/** The range of values that can be computed with in float32, names of columns, and messages about both. */

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

/** Numbers that are read at a time. */
const AT_A_TIME = 1 << 22;

/** The columns that have no value in any row, in words; null if there are none, or no others. */
export async function columnsWithoutValues(source: Source): Promise<string | null> {
  const { rows, dim, names = null } = source;
  const empty = new Set(Array(dim).keys());
  const step = Math.max(1, Math.floor(AT_A_TIME / dim));
  for (let start = 0; start < rows && empty.size; start += step) {
    const values = await source.read(start, Math.min(step, rows - start));
    for (const column of empty) {
      let at = column;
      while (at < values.length && Number.isNaN(values[at])) at += dim;
      if (at < values.length) empty.delete(column);
    }
    await yieldToEventLoop();
  }
  if (!empty.size || empty.size === dim) return null;
  const shown = [...empty].slice(0, MOST_EMPTY).map((column) => names?.[column] ?? column);
  const more = empty.size > MOST_EMPTY ? `, and ${empty.size - MOST_EMPTY} others` : '';
  return `${empty.size > 1 ? 'columns' : 'column'} ${shown.join(', ')}${more}${names ? '' : ' (counted from 0)'}`;
}

/** Columns that are named one by one. */
const MOST_EMPTY = 12;

/** A column in a message, by its name, or by its number from 0, which has to be said. */
export const columnCalled = (names: readonly string[] | null, column: number): string =>
  names ? `column ${names[column]}` : `column ${column} (counted from 0)`;

/** Names that tell columns apart; null where there is no header, or where it only numbers them. */
export const tellingNames = (names: readonly string[] | undefined): readonly string[] | null =>
  names === undefined || isNumbered(names) ? null : names;

/** At most this share of a name may be mistyped. */
const MOST_WRONG = 0.4;
const MOST_NAMES = 3;

/** The names most similar to `name`, the nearest first; none if all are quite different. Case does not count. */
export function nearest(name: string, names: readonly string[]): string[] {
  const lower = name.toLowerCase();
  return names
    .map((other) => ({ other, wrong: distance(lower, other.toLowerCase()) }))
    .filter(({ other, wrong }) => wrong <= Math.max(1, MOST_WRONG * Math.max(name.length, other.length)))
    .sort((a, b) => a.wrong - b.wrong)
    .slice(0, MOST_NAMES)
    .map(({ other }) => other);
}
