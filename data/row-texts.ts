import { createReadStream } from 'node:fs';
import { UserError } from '../base/user-error.ts';
import { assertVersion, fileVersion } from './cache.ts';
import { tableFileAt } from './open.ts';
import { isRemote } from './remote/address.ts';
import type { Source } from './source.ts';
import { ANY_DIALECT } from './tables/csv-table.ts';
import { openReader } from './tables/formats.ts';
import { headerTest, PLAIN_TABLE, withReader } from './tables/open-table.ts';
import { columnIn } from './tables/select-columns.ts';
import { firstNames, type Table } from './tables/table.ts';

/** Texts of rows in a file of their own: a line of a .txt for each row, or a column of a table. */

/** Bytes that are read at once. */
const CHUNK_BYTES = 1 << 18;

/**
 * The texts of these rows, which may be asked for several times, '' where one is missing. `column`: that of a table; by default the only
 * one with text. Rejects with a UserError if there is not one for each row.
 */
export async function openRowTexts(
  path: string,
  column: string | null,
  data: string,
  { rows, table }: Pick<Source, 'rows' | 'table'>,
): Promise<() => AsyncGenerator<string[]>> {
  if (isRemote(path)) throw new UserError(`--texts ${path}: copy it to this machine first`);
  const version = fileVersion(path);
  const isLines = /\.txt$/i.test(path);
  const { read, count } = isLines
    ? { read: () => linesOf(path), count: await lineCount(path) }
    : await tableTexts(path, column);
  // Rows that are left out of the data have texts as well.
  const dropped = new Set(table?.dropped);
  if (count !== rows + dropped.size)
    throw new UserError(
      `--texts ${path} has ${count.toLocaleString('en')} texts, but ${data} has ${(rows + dropped.size).toLocaleString('en')} rows: there has to be one for each`,
    );
  return async function* () {
    assertVersion(path, version);
    let row = 0;
    for await (const slice of read()) {
      const start = row;
      row += slice.length;
      yield dropped.size ? slice.filter((_, i) => !dropped.has(start + i)) : slice;
    }
    assertVersion(path, version);
  };
}

const LINE_BREAK = 10;

/** The number of lines; the last one may lack its break. */
async function lineCount(path: string): Promise<number> {
  let [lines, last] = [0, LINE_BREAK];
  for await (const bytes of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    for (let at = bytes.indexOf(LINE_BREAK); at >= 0; at = bytes.indexOf(LINE_BREAK, at + 1)) lines++;
    last = bytes.at(-1);
  }
  return lines + Number(last !== LINE_BREAK);
}

async function* linesOf(path: string): AsyncGenerator<string[]> {
  const withoutReturn = (line: string) => (line.endsWith('\r') ? line.slice(0, -1) : line);
  let left = '';
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: CHUNK_BYTES });
  for await (const chunk of stream) {
    const lines = `${left}${chunk}`.split('\n');
    left = lines.pop()!;
    yield lines.map(withoutReturn);
  }
  if (left) yield [withoutReturn(left)];
}

async function tableTexts(path: string, column: string | null) {
  const file = await tableFileAt(path);
  if (!file)
    throw new UserError(`--texts ${path} has no texts: pass a .txt with a line for each row, or a table`);
  const isHeaderRow = headerTest({ ...PLAIN_TABLE, text: column });
  const how = { isHeaderRow, dialect: ANY_DIALECT, hasTexts: true };
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
