import { isNumbered } from './tables/csv-rows.ts';

/** A column in a message, by its name, or by its number from 0, which has to be said. */
export const columnCalled = (names: readonly string[] | null, column: number): string =>
  names ? `column ${names[column]}` : `column ${column} (counted from 0)`;

/** Names that tell columns apart; null where there is no header, or where it only numbers them. */
export const tellingNames = (names: readonly string[] | undefined): readonly string[] | null =>
  names === undefined || isNumbered(names) ? null : names;
