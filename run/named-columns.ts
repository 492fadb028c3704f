import type { Source } from '../data/source.ts';
import type { Variable } from '../model/description/telling-columns.ts';

/** A number of a list, as an embedding is one: it means nothing by itself. */
export const LIST_ITEM = /\[\d+\]$/;
/** More columns whose names differ by a number alone are those of a list too. */
const MOST_NUMBERED = 32;

/** The columns of a table by which clusters can be named; none where they have no names, as numbers of columns would tell nobody anything. */
export function namedVariables({
  names = null,
  table,
}: Pick<Source, 'names'> & { table?: Pick<NonNullable<Source['table']>, 'categories'> }): Variable[] {
  if (!names) return [];
  const places = new Map(names.map((name, column) => [name, column]));
  const ofCategories = Object.entries(table?.categories ?? {}).map(([name, categories]) => {
    const columns = categories.slice(1).map((value) => places.get(`${name}=${value}`)!);
    return { name, columns, categories };
  });
  const made = new Set(ofCategories.flatMap(({ columns }) => columns));
  const stem = (name: string) => name.replace(/\d+/g, '#');
  const stems = new Map<string, number>();
  for (const name of names) stems.set(stem(name), (stems.get(stem(name)) ?? 0) + 1);
  const isMeant = (name: string) => !LIST_ITEM.test(name) && stems.get(stem(name))! <= MOST_NUMBERED;
  const ofNumbers = names.flatMap((name, column) =>
    made.has(column) || !isMeant(name) ? [] : [{ name, columns: [column] }],
  );
  return [...ofNumbers, ...ofCategories];
}
