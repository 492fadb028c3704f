import { join } from 'node:path';
import { ranges, yieldToEventLoop } from '../base/slices.ts';
import { openSource } from '../data/open.ts';
import { rowsAt } from '../data/rows-at.ts';
import type { Source } from '../data/source.ts';
import type { ColumnSample, Variable } from '../model/description/telling-columns.ts';
import type { Stream } from '../model/stream/stream.ts';
import { SAMPLE } from './stream-files.ts';

/** What clusters get names from: columns that mean something, and rows of each cluster. */

/** Rows whose keys are looked at without yielding. */
const ROWS_AT_ONCE = 1 << 18;
/** Rows of a cluster, at most and at least, and numbers in all. */
const [MOST_ROWS, LEAST_ROWS, MOST_NUMBERS] = [500, 20, 1 << 22];
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

/**
 * Rows of each cluster with the least keys among those that the run keeps of all rows so far, so that they do not depend on who has
 * labelled them. Null if there is no room for enough of each.
 *
 * @param sizes rows of each cluster
 */
export async function columnSample(
  run: string,
  { keys, labels, ids }: Pick<Stream, 'keys' | 'labels' | 'ids'>,
  sizes: readonly number[],
): Promise<ColumnSample | null> {
  const source = await openSource(join(run, SAMPLE));
  try {
    const { dim } = source;
    const most = Math.min(MOST_ROWS, Math.floor(MOST_NUMBERS / (dim * sizes.length)));
    if (most < LEAST_ROWS) return null;
    const places = new Map(ids.map((id, cluster) => [id, cluster]));
    const drawn = sizes.map((): number[] => []);
    const least = (own: number[]) => own.sort((a, b) => keys[a] - keys[b] || a - b).slice(0, most);
    for (const { from, to } of ranges(keys.length, ROWS_AT_ONCE)) {
      for (let row = from; row < to; row++) {
        const cluster = places.get(labels[row]);
        if (cluster === undefined || drawn[cluster].push(row) < 2 * most) continue;
        drawn[cluster] = least(drawn[cluster]);
      }
      await yieldToEventLoop();
    }
    const rows = drawn
      .flatMap((own, cluster) => least(own).map((row) => ({ row, cluster })))
      .sort((a, b) => a.row - b.row);
    const values = await rowsAt(
      source,
      rows.map(({ row }) => row),
    );
    return { values, dim, clusters: Int32Array.from(rows, ({ cluster }) => cluster), sizes };
  } finally {
    source.close();
  }
}
