import { UserError } from '../../base/user-error.ts';
import { assertVersion, fileVersion } from '../cache.ts';
import { tableFileAt } from '../open.ts';
import { atPlace } from '../remote/place.ts';
import type { Source } from '../source.ts';
import { openReader, type TableFile } from '../tables/formats.ts';
import { headerTest, withReader } from '../tables/open-table.ts';
import { columnIn } from '../tables/select-columns.ts';
import { firstNames, type Table } from '../tables/table.ts';
import { ANY_DIALECT, PLAIN_TABLE, type TextDialect } from '../tables/table-options.ts';
import { lineCount, linesOf } from './texts.ts';

/** Texts of rows in a file of their own: a line of a .txt, which may be compressed, for each row, or a column of a table. */

/** The rows, and those of the file that are not among them. */
type RowsWithTexts = Pick<Source, 'rows'> & { table?: { dropped: readonly number[] } };

/**
 * The texts of these rows, which may be asked for several times, '' where one is missing. `column`: that of a table; by default the only
 * one with text. `dialect`: of a table that is the data themselves. Rejects with a UserError if there is not one for each row.
 */
export const openRowTexts = (
  path: string,
  column: string | null,
  data: string,
  source: RowsWithTexts,
  dialect?: TextDialect,
): Promise<() => AsyncGenerator<string[]>> =>
  atPlace(path, { whole: true }, (place) => textsAt(place, path, column, data, source, dialect));

/** `path`: what the place is called. */
async function textsAt(
  place: string,
  path: string,
  column: string | null,
  data: string,
  { rows, table }: RowsWithTexts,
  dialect?: TextDialect,
): Promise<() => AsyncGenerator<string[]>> {
  const areLines = isLines(path);
  const file = areLines ? null : await tableFileAt(place);
  if (!file && !areLines)
    throw new UserError(`--texts ${path} has no texts: pass a .txt with a line for each row, or a table`);
  const versionNow = () => (file ? file.version() : fileVersion(place));
  const version = versionNow();
  const { read, count } = file
    ? await tableTexts(file, column, dialect)
    : { read: () => linesOf(place), count: await lineCount(place) };
  // Rows that are left out of the data have texts as well.
  const dropped = new Set(table?.dropped);
  if (count !== rows + dropped.size)
    throw new UserError(
      `--texts ${path} has ${count.toLocaleString('en')} texts, but ${data} has ${(rows + dropped.size).toLocaleString('en')} rows: there has to be one for each`,
    );
  return async function* () {
    assertVersion(path, version, versionNow);
    let row = 0;
    for await (const slice of read()) {
      const start = row;
      row += slice.length;
      yield dropped.size ? slice.filter((_, i) => !dropped.has(start + i)) : slice;
    }
    assertVersion(path, version, versionNow);
  };
}

const isLines = (path: string) => /\.txt(\.gz|\.zst)?$/i.test(path);

async function tableTexts(file: TableFile, column: string | null, dialect = ANY_DIALECT) {
  const isHeaderRow = headerTest({ ...PLAIN_TABLE, text: column });
  const how = { isHeaderRow, dialect, hasTexts: true };
  async function* texts(table: Table) {
    const index = column === null ? onlyText(table) : columnIn(table, column, '--text');
    for await (const batch of table.read({ numbers: [], texts: [index] }))
      yield batch.texts[0].map((text) => text ?? '');
  }
  // What the fast reader does not read to the end is read by the other one from the start.
  return withReader(file, how, async (table) => {
    let count = 0;
    for await (const slice of texts(table)) count += slice.length;
    const isPlain = table.isPlain ?? false;
    const read = async function* () {
      yield* texts(await openReader(file, { ...how, isPlain }));
    };
    return { read, count };
  });
}

function onlyText({ path, columns }: Table): number {
  const texts = [...columns.keys()].filter((i) => columns[i].kind === 'text');
  if (columns.length === 1) return 0;
  if (texts.length === 1) return texts[0];
  throw new UserError(
    `--texts ${path} has ${texts.length || 'no'} columns with text: name the one with --text; it has ${firstNames(columns.map(({ name }) => name))}`,
  );
}
