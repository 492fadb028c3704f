import { statusOf } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { assertVersion, openCached } from '../cache.ts';
import { type ArrayFile, closeArray, openNpy, readAppendix } from '../npy.ts';
import type { ReadingProgress } from '../open-options.ts';
import { tellingNames } from '../value-range.ts';
import { isHeader, NotPlain, type TextOptions } from './csv-table.ts';
import { type DecodedTable, decodeTable, OtherColumns } from './decode-table.ts';
import { openReader, type TableFile } from './formats.ts';
import {
  assertClusterable,
  assertText,
  columnIn,
  type SelectedColumns,
  selectColumns,
} from './select-columns.ts';
import { firstNames, isNumbered, type Table } from './table.ts';
import {
  type ColumnChoice,
  type DecodeOptions,
  EVERY_COLUMN,
  PLAIN_TABLE,
  type TableOptions,
  type TrainedColumns,
} from './table-options.ts';

/** A table as rows of numbers: its columns are selected, decoded once into the cache, and opened from there. Put together from the other files of this folder. */

/** A table of more bytes takes a while to read. */
const LARGE_BYTES = 32 << 20;

const bytesOf = ({ parts }: TableFile) => parts.reduce((sum, part) => sum + (statusOf(part)?.size ?? 0), 0);

export interface OpenedTable extends DecodedTable {
  file: ArrayFile;
  /** The decoded copy in the cache. */
  copy: string;
  /** The texts of a column, without those of rows that are dropped. */
  texts(column: string): AsyncGenerator<string[]>;
}

const count = (value: number) => value.toLocaleString('en');
const rowsTold =
  ({ path, rows: all }: Table, status: ReadingProgress['status']) =>
  (rows: number) =>
    status?.(`reading ${path}: ${count(rows)} rows${all === null ? '' : ` of ${count(all)}`}`);

/**
 * Opens a table, which is decoded once, as a stream, into a float32 .npy in the cache. Rejects with a UserError, one line, if the
 * file is damaged, a column does not exist or cannot be clustered, or a value is missing, infinite or too large.
 */
export async function openTable(
  file: TableFile,
  options: TableOptions = PLAIN_TABLE,
  { log, status }: ReadingProgress = {},
): Promise<OpenedTable> {
  const isHeaderRow = headerTest(options);
  const { copy, ...array } = await openCached(
    file.path,
    `table ${JSON.stringify([file.format, options])}`,
    async (target) => {
      if (bytesOf(file) >= LARGE_BYTES) log?.(`reading ${file.path} …`);
      await withReader(
        file,
        { isHeaderRow, dialect: options, hasTexts: options.id !== null || options.text !== null },
        (table) => decode(table, options, target, rowsTold(table, status)),
      );
    },
    (target) => openNpy(target, file.path),
    { versionOf: file.version },
  );
  try {
    const about: DecodedTable = JSON.parse(readAppendix(array).toString());
    const left = new Set(about.dropped);
    const rows = array.shape[0] + left.size;
    const version = file.version();
    const texts = async function* (column: string) {
      // The file itself is read for them, not the copy of its numbers.
      assertVersion(file.path, version, file.version);
      yield* textsOf(file, { isHeaderRow, isPlain: about.isPlain, dialect: options }, column, rows, left);
      assertVersion(file.path, version, file.version);
    };
    return { ...about, file: array, copy, texts };
  } catch (error) {
    closeArray(array);
    throw error;
  }
}

/** Can these files be read as one table: do all have the columns of the first one? */
export async function areOneTable(file: TableFile, options: TableOptions): Promise<boolean> {
  const how = { isHeaderRow: headerTest(options), dialect: options };
  try {
    await withReader(file, how, async () => {});
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/**
 * The texts of a column, slice by slice, '' where they are missing; `rows`: all of the table. Read by the reader that has read the
 * numbers, so that both see the same rows.
 */
async function* textsOf(
  file: TableFile,
  how: TextOptions,
  column: string,
  rows: number,
  left: ReadonlySet<number>,
): AsyncGenerator<string[]> {
  const table = await openReader(file, how);
  const index = columnIn(table, column, null);
  let row = 0;
  try {
    for await (const batch of table.read({ numbers: [], texts: [index] })) {
      const start = row;
      row += batch.rows;
      yield batch.texts[0].flatMap((text, i) => (left.has(start + i) ? [] : [text ?? '']));
    }
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error;
    throw new UserError(`${file.path}: column ${column} cannot be read as text (${error.message})`);
  }
  if (row !== rows)
    throw new UserError(
      `${file.path} has ${row} rows in column ${column}, but ${rows} rows of numbers: it has changed`,
    );
}

/**
 * What `use` makes of the table. A text table is read by DuckDB first; where that fails, for whatever reason, it is read row by
 * row, which takes any table that can be read, and says of others what is wrong in which line.
 */
export async function withReader<T>(
  file: TableFile,
  how: Omit<TextOptions, 'isPlain'>,
  use: (table: Table) => Promise<T>,
): Promise<T> {
  const read = async (isPlain: boolean) => use(await openReader(file, { ...how, isPlain }));
  if (file.format !== 'csv') return read(false);
  try {
    return await read(true);
  } catch (error) {
    if (error instanceof NotPlain || error instanceof UserError) return read(false);
    throw error;
  }
}

/** A first row with a name that the options have is a header. */
export function headerTest({
  columns,
  drop,
  id,
  text,
  label,
  categorical,
  trained,
}: TableOptions): typeof isHeader {
  const names = new Set([
    ...(columns ?? []),
    ...(drop ?? []),
    ...(categorical ?? []),
    ...(trained?.names ?? []),
  ]);
  for (const name of [id, text, label]) if (name !== null) names.add(name);
  const isName = (field: string) => names.has(field) && Number.isNaN(Number(field));
  // Those of a model whose columns were only numbered, in any order, above other than whole numbers.
  const isMixed = (first: string[], second: string[] = []) =>
    trained?.names === null &&
    isNumbered(first.toSorted((a, b) => Number(a) - Number(b))) &&
    second.some((field) => !/^[+-]?\d+$/.test(field));
  return (first, second) => isHeader(first, second) || first.some(isName) || isMixed(first, second);
}

async function decode(
  table: Table,
  options: TableOptions,
  target: string,
  onRows: (rows: number) => void,
): Promise<DecodedTable> {
  const trained = options.trained;
  const choice = trained ? trainedChoice(table, options, trained) : options;
  if (!trained && options.text !== null) assertText(table, columnIn(table, options.text, '--text'));
  const selected = selectColumns(table, choice, trained?.run);
  await assertClusterable(table, selected.numbers, choice, trained?.run);
  const { impute } = options;
  const { fill, categories, run } = trained ?? {};
  const how: DecodeOptions = { impute, onRows, fill, categories, run, asks: !trained && !options.columns };
  const begin = async (columns: SelectedColumns, notes: readonly string[]): Promise<DecodedTable> => {
    try {
      return await decodeTable(table, columns, target, { ...how, notes });
    } catch (error) {
      if (!(error instanceof OtherColumns)) throw error;
      return begin(error.selected, [...notes, ...error.notes]);
    }
  };
  return begin(selected, []);
}

/** The columns of a trained model, in its order, by their names where both have some. UserError if the table lacks one. */
function trainedChoice(table: Table, options: TableOptions, trained: TrainedColumns): ColumnChoice {
  const { categories, run } = trained;
  const own = table.isNamed ? tellingNames(table.columns.map(({ name }) => name)) : null;
  const numbers = Array.from({ length: trained.width }, (_, i) => String(i));
  // Columns that were only numbered, in another order.
  const names = trained.names ?? (own && numbers.every((name) => own.includes(name)) ? numbers : null);
  const isThere = (name: string) =>
    table.columns.some((column) => column.name === name) ||
    (!names && /^[1-9]\d*$/.test(name) && Number(name) <= table.columns.length);
  const optional = (name: string | null) => (name !== null && isThere(name) ? name : null);
  const kept = { id: optional(options.id), text: optional(options.text) };
  // New rows may have the column of labels, or not.
  if (!own || !names || new Set(names).size < names.length)
    return {
      ...options,
      ...kept,
      label: table.columns.length > rawWidth(options, trained) ? options.label : null,
    };
  const categorical = Object.keys(categories ?? {});
  const made = new Set(
    Object.entries(categories ?? {}).flatMap(([name, values]) => values.map((value) => `${name}=${value}`)),
  );
  const plain = [...new Set(names.filter((name) => !made.has(name)).map((name) => listOf(table, name)))];
  for (const name of [...plain, ...categorical])
    if (!table.columns.some((column) => column.name === name))
      throw new UserError(
        `${table.path} has no column ${JSON.stringify(name)}, which the run ${run} was trained on; it has ${firstNames(table.columns.map((column) => column.name))}: pass rows with the columns of the run`,
      );
  const others = table.columns.map(({ name }) => name).filter((name) => !categorical.includes(name));
  return {
    ...{ ...EVERY_COLUMN, ...kept },
    columns: plain.length ? plain : null,
    drop: plain.length ? null : others,
    categorical: categorical.length ? categorical : null,
  };
}

/** The columns that a table needs for a model trained on one without names, the labels aside. */
function rawWidth({ id, text, drop }: TableOptions, { width, categories }: TrainedColumns): number {
  const made = Object.values(categories ?? {});
  const plain = width - made.reduce((sum, { length }) => sum + length - 1, 0);
  return plain + made.length + Number(id !== null) + Number(text !== null) + (drop?.length ?? 0);
}

/** The name of the list that a number such as `embedding[3]` is of, or of the column itself, where the table has any like it. */
function listOf({ columns }: Table, name: string): string {
  const [, list] = /^(.*)\[\d+\]$/s.exec(name) ?? [];
  return list === undefined || columns.some((column) => column.name.startsWith(`${list}[`)) ? name : list;
}
