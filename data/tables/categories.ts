import * as z from 'zod/mini';
import { UserError } from '../../base/user-error.ts';
import type { Table } from './table.ts';

/** Columns of categories, of which each category but the first becomes a column of 0 and 1. */

export type Categories = Readonly<Record<string, readonly string[]>>;

const lists = z.array(z.array(z.string()));

/** A schema: a record of the library loses a column that is called `__proto__`. */
export const categoriesSchema = z.custom<Record<string, string[]>>(
  (value) => typeof value === 'object' && value !== null && lists.safeParse(Object.values(value)).success,
);

const MOST_CATEGORIES = 256;
/** So many are rather names than categories. */
const MANY_CATEGORIES = 20;

/** That of a field: blanks around it do not make another. */
export const categoryOf = (text: string | null): string => text?.trim() ?? '';

/**
 * The categories of these columns: the most frequent one first, then the others in order. As a base, a rare one would make columns
 * that almost add up to 1, and a covariance that can hardly be inverted. '' is a missing value. `known`: those of a trained model.
 */
export async function categoriesOf(
  table: Table,
  columns: readonly number[],
  known: Categories | null | undefined,
): Promise<Record<string, string[]>> {
  if (!columns.length) return {};
  const nameOf = (column: number) => table.columns[column].name;
  // Else by their order: without a header they are called by their numbers, and new rows may have names.
  if (known)
    return Object.fromEntries(
      columns.map((column, t) => [
        nameOf(column),
        [...(own(known, nameOf(column)) ?? Object.values(known)[t])],
      ]),
    );
  const counts = columns.map(() => new Map<string, number>());
  for await (const { texts } of table.read({ numbers: [], texts: columns }))
    for (const [t, values] of texts.entries()) {
      for (const value of values.map(categoryOf)) counts[t].set(value, (counts[t].get(value) ?? 0) + 1);
      if (counts[t].size > MOST_CATEGORIES)
        throw new UserError(
          `--one-hot: ${table.path} has more than ${MOST_CATEGORIES} different values in ${nameOf(columns[t])}: that is no column of categories`,
        );
    }
  return Object.fromEntries(columns.map((column, t) => [nameOf(column), baseFirst(counts[t])]));
}

const own = (categories: Categories, name: string) =>
  Object.hasOwn(categories, name) ? categories[name] : undefined;

function baseFirst(counts: ReadonlyMap<string, number>): string[] {
  const all = [...counts.keys()].sort();
  const most = Math.max(...counts.values());
  const base = all.find((value) => counts.get(value) === most);
  return base === undefined ? [] : [base, ...all.filter((value) => value !== base)];
}

/** What people should know of columns with many categories. */
export const notesOnCategories = (categories: Categories): string[] =>
  Object.entries(categories)
    .filter(([, { length }]) => length >= MANY_CATEGORIES)
    .map(([name, { length }]) => `--one-hot ${name} makes ${length - 1} columns`);
