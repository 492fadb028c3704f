import { distance } from 'fastest-levenshtein';
import { isNumbered } from './tables/csv-table.ts';

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
