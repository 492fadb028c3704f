import { optionText } from '../../base/option-text.ts';
import { UserError } from '../../base/user-error.ts';
import { MAX_MAGNITUDE } from '../../model/arrays.ts';
import { HOST_ORDER } from '../arrays/dtype.ts';
import { assertRoom } from '../cache.ts';
import { CHUNK_ELEMENTS, createNpyBytes } from '../npy.ts';
import { NoRows, type TableFacts } from '../source.ts';
import { formatNumber, MAX_FLOAT32, tellingNames } from '../value-range.ts';
import {
  categoriesOf,
  categoryOf,
  INDEX_NAMES,
  notesOnCategories,
  type SelectedColumns,
  withColumns,
} from './select-columns.ts';
import { notesOn as notesOnSuspects, type Suspect, watchColumns } from './suspect-columns.ts';
import {
  type Column,
  firstNames,
  fromZero,
  isNumbered,
  shown,
  type Table,
  type TableBatch,
} from './table.ts';
import type { DecodeOptions } from './table-options.ts';

/** The chosen columns of a table, as numbers in an .npy, with what was learned of them. It gets rows of text or numbers from a reader, and knows no format of files. */

/** What is known of a table once it is decoded; written after the array. */
export interface DecodedTable extends Omit<TableFacts, 'parts'> {
  /** Of the columns that are clustered; null where the table names none, or only numbers them. */
  names: string[] | null;
  /** Which reader of text tables took it. */
  isPlain: boolean;
}

/** A number in column `c` of those that are clustered. */
interface BadValue {
  c: number;
  value: number;
}

/** What the rows have shows that other columns are to be clustered. */
export class OtherColumns extends Error {
  constructor(
    readonly selected: SelectedColumns,
    readonly notes: readonly string[] = [],
  ) {
    super();
  }
}

/**
 * Writes the columns of a table as an .npy of float32, with a DecodedTable after the array. In bounded memory, but for one column
 * at a time whose median is wanted, or that may name rows. UserError for missing, infinite and too large numbers; OtherColumns.
 */
export async function decodeTable(
  table: Table,
  selected: SelectedColumns,
  target: string,
  options: DecodeOptions,
): Promise<DecodedTable> {
  const { numbers, categories: categorical, index, leftOut, aside } = selected;
  const { path, columns, isNamed } = table;
  const { impute, run, asks } = options;
  const categories = await categoriesOf(table, categorical, options.categories);
  const own = numbers.flatMap((column) => numbersIn(columns[column]));
  // In a batch, an index is in front of them.
  const lead = Number(index !== null);
  const made = categorical.flatMap((c) =>
    categories[columns[c].name].slice(1).map((value) => `${columns[c].name}=${value}`),
  );
  const width = own.length + made.length;
  if (!width) throw new UserError(`${path} has one category in each column: add columns that vary`);
  assertRoom(target, path, 4 * width * (table.rows ?? 0));
  const writer = createNpyBytes(target, `${HOST_ORDER}f4`, [0, width], { mode: 0o600 });
  const chunk = new Float32Array(Math.max(1, Math.floor(CHUNK_ELEMENTS / width)) * width);
  const sums = new Float64Array(own.length);
  const counts = new Float64Array(own.length);
  const dropped: number[] = [];
  const isWatched = asks && own.length === numbers.length;
  const watched = isWatched ? watchColumns(numbers.map((c) => (isNamed ? columns[c].name : 'x'))) : null;
  let [rows, kept, filled, written] = [0, 0, 0, 0];
  const blank = { count: 0, first: '' };
  // An index counts all rows, or those of each part.
  let [countsAll, countsOwn] = [true, true];
  const rowName = (batch: TableBatch, i: number) => batch.rowName?.(i) ?? fromZero(rows + i);
  const flush = () => {
    writer.write(new Uint8Array(chunk.buffer, 0, filled * 4), written);
    written += filled * 4;
    filled = 0;
  };
  const badValue = async (batch: TableBatch, i: number, { c, value }: BadValue): Promise<UserError> => {
    const field = batch.field?.(i, lead + c);
    const where = `${path} ${rowName(batch, i)}, column ${own[c].name}:${field === undefined ? '' : ` ${shown(field)}`}`;
    const empty = Number.isNaN(value) ? await withoutValues(table, numbers, options) : null;
    return new UserError(
      `${where} ${empty ? `is a missing value; there is ${empty}` : problemOf(value, own[c].type, run)}`,
    );
  };
  /** False if the row is to be left out; the first of its numbers that cannot be computed with, if there is one. */
  const addNumbers = (batch: TableBatch, i: number): boolean | BadValue => {
    let missing = 0;
    for (let c = 0, at = i * (lead + own.length) + lead; c < own.length; c++, at++) {
      const value = batch.values[at];
      // False for NaN, too.
      if (Math.abs(value) <= MAX_FLOAT32) {
        sums[c] += value;
        counts[c]++;
      } else if (!Number.isNaN(value) || (impute === null && options.fill?.[c] == null)) return { c, value };
      else if (impute === 'drop') return false;
      else missing++;
      watched?.add(c, value);
      chunk[filled + c] = value;
    }
    if (missing === width && !blank.count++) blank.first = rowName(batch, i);
    return true;
  };
  const addCategories = (batch: TableBatch, i: number) => {
    let at = filled + own.length;
    for (const [t, column] of categorical.entries()) {
      const { name } = columns[column];
      const known = categories[name];
      const category = categoryOf(batch.texts[t][i]);
      const found = known.indexOf(category);
      if (found < 0)
        throw new UserError(
          `${path} ${rowName(batch, i)}, column ${name}: ${shown(category)} is none of the categories of the run (${known.slice(0, 5).join(', ')}${known.length > 5 ? ', …' : ''})`,
        );
      chunk.fill(0, at, at + known.length - 1);
      if (found) chunk[at + found - 1] = 1;
      at += known.length - 1;
    }
  };
  try {
    const wanted = { numbers: index === null ? numbers : [index, ...numbers], texts: categorical };
    for await (const batch of table.read(wanted)) {
      for (let i = 0; i < batch.rows; i++) {
        if (index !== null) {
          const value = batch.values[i * (lead + own.length)];
          countsAll &&= value === rows + i;
          countsOwn &&= value === (batch.first ?? rows) + i;
          if (!countsAll && !countsOwn)
            throw new OtherColumns({ ...selected, numbers: wanted.numbers, index: null });
        }
        if (filled + width > chunk.length) flush();
        const isKept = addNumbers(batch, i);
        if (typeof isKept === 'object') throw await badValue(batch, i, isKept);
        if (!isKept) {
          dropped.push(rows + i);
          continue;
        }
        addCategories(batch, i);
        filled += width;
        kept++;
      }
      rows += batch.rows;
      options.onRows?.(rows);
    }
    if (!rows) throw new NoRows(`${path} has a header but no rows: save it again with data`);
    if (!kept) {
      const found = await withoutValues(table, numbers, options);
      throw new UserError(
        `${path} has ${found ?? 'missing values in every row: impute them with --impute mean'}`,
      );
    }
    flush();
    const suspects = await watched?.found((c) => areDifferent(table, numbers[c]));
    const { sure, unsure } = suspects ?? { sure: [], unsure: [] };
    if (sure.length && (sure.length < own.length || categorical.length)) throw without(table, selected, sure);
    // Of a first column without a name, which people have not asked for, and of which nothing else is said.
    const isIndex =
      asks && numbers[0] === 0 && numbers.length > 1 && !unsure.some(({ column }) => column === 0);
    const notes = [
      ...notesOn(table, index, isIndex === true, dropped.length, run),
      ...(options.notes ?? []),
      ...notesOnSuspects(
        [...sure, ...unsure],
        (c) => calledIn(table, numbers[c]),
        'is clustered: leave it out with --drop, or name the columns with --columns',
      ),
      ...(options.categories ? [] : notesOnCategories(categories)),
    ];
    if (blank.count)
      notes.push(
        `rows without any value, which are filled in whole: ${blank.count}, the first is ${blank.first}`,
      );
    // Where all are so, there is nothing else to cluster by.
    const isEmpty = counts.some((count) => !count) && (counts.some((count) => count > 0) || made.length > 0);
    const empty = isEmpty && impute !== null ? await withoutValues(table, numbers, options) : null;
    if (empty) throw new UserError(`${path} has ${empty}`);
    const decoded = { path, read: writer.read, write: writer.write, rows: kept, width };
    const names = [...own.map(({ name }) => name), ...made];
    const fill = filling(decoded, names, sums, counts, options);
    const about: DecodedTable = {
      names: isNamed && tellingNames(names) ? names : null,
      fill,
      dropped,
      categories,
      leftOut: leftOut.map((column) => columns[column].name || String(column + 1)),
      aside: aside.map((column) => keyOf(table, column)),
      note: notes.length ? `${path}: ${notes.join('; ')}` : null,
      filled: fill && filledText(path, own, counts, kept, options),
      isPlain: table.isPlain === true,
    };
    writer.finish([kept, width], Buffer.from(JSON.stringify(about)));
    return about;
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** Of each number in a column the name, with its place in a list from 1, and the type. */
const numbersIn = ({ name, width, kind, type }: Column) =>
  kind === 'list'
    ? Array.from({ length: width }, (_, d) => ({ name: `${name}[${d + 1}]`, type }))
    : [{ name, type }];

/** What is wrong with a number, and what to do. */
function problemOf(value: number, type: string, run: string | undefined): string {
  if (Number.isNaN(value))
    return run === undefined
      ? 'is a missing value; fill them with --impute mean or median, or leave such rows out with --impute drop'
      : `is a missing value, and the run ${run} fills none: fill it or remove the row; predict fills what is missing if the run was trained with --impute median`;
  const problem = Number.isFinite(value)
    ? `is larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`
    : // Whole numbers have no infinite ones: see `numberIn` of duckdb.ts.
      type.includes('int')
      ? 'is a whole number beyond 2^53, which cannot be computed with exactly'
      : 'is infinite';
  return `${problem}; correct it or drop the column`;
}

/** The name of a column for a message. */
const calledIn = ({ isNamed, columns }: Table, column: number) =>
  isNamed && columns[column].name ? columns[column].name : `column ${column + 1}`;

/** What `columnIn` takes for the column. */
function keyOf({ columns }: Table, column: number): string {
  const { name } = columns[column];
  return columns.filter((other) => other.name === name).length > 1 ? String(column + 1) : name;
}

/** Reads a column of numbers once more. */
async function areDifferent(table: Table, column: number): Promise<boolean> {
  let [all, count] = [new Float64Array(table.rows ?? CHUNK_ELEMENTS), 0];
  for await (const { values } of table.read({ numbers: [column], texts: [] })) {
    if (count + values.length > all.length) {
      const larger = new Float64Array(2 * (count + values.length));
      larger.set(all.subarray(0, count));
      all = larger;
    }
    all.set(values, count);
    count += values.length;
  }
  return all
    .subarray(0, count)
    .sort()
    .every((value, i, sorted) => value !== sorted[i - 1]);
}

/** Which columns have no value in any row, and what to do; null where none or all of them are so, or a trained model decides. */
async function withoutValues(
  table: Table,
  numbers: readonly number[],
  { run, asks }: DecodeOptions,
): Promise<string | null> {
  if (run !== undefined) return null;
  const { columns, isNamed } = table;
  const empty = new Set(numbers);
  const widths = numbers.map((column) => columns[column].width);
  for await (const { values, rows } of table.read({ numbers, texts: [] })) {
    for (let i = 0, at = 0; i < rows; i++)
      for (const [c, width] of widths.entries())
        for (let d = 0; d < width; d++, at++) if (!Number.isNaN(values[at])) empty.delete(numbers[c]);
    if (!empty.size) return null;
  }
  if (empty.size === numbers.length) return null;
  const found = [...empty];
  const names = found.slice(0, MOST_NAMED).map((c) => (isNamed && columns[c].name) || c + 1);
  const more = found.length > MOST_NAMED ? `, and ${found.length - MOST_NAMED} others` : '';
  const [which, they] = found.length > 1 ? ['columns', 'them'] : ['column', 'it'];
  const how = asks ? `with ${withColumns('drop', found, columns)}` : `of ${optionText('columns')}`;
  return `no value in ${which} ${names.join(', ')}${more}: leave ${they} out ${how}`;
}

/** Columns that are named one by one. */
const MOST_NAMED = 12;

function without(table: Table, selected: SelectedColumns, suspects: readonly Suspect[]): OtherColumns {
  const { numbers, leftOut } = selected;
  const aside = suspects.map(({ column }) => numbers[column]);
  const notes = notesOnSuspects(
    suspects,
    (c) => calledIn(table, numbers[c]),
    'is left out; to cluster by it, name the columns with --columns',
  );
  const rest = numbers.filter((column) => !aside.includes(column));
  const unused = [...leftOut, ...aside].sort((a, b) => a - b);
  return new OtherColumns({ ...selected, numbers: rest, leftOut: unused, aside }, notes);
}

function notesOn(
  { columns, isNamed, emptyParts, isPlain, notes: own = [] }: Table,
  index: number | null,
  isIndex: boolean,
  dropped: number,
  run: string | undefined,
): string[] {
  // Behind a semicolon they say with which flags of `train` it would be otherwise.
  const notes = run === undefined ? [...own] : own.map((note) => note.split(';')[0]);
  if (emptyParts) notes.push(`${emptyParts} of its files ${emptyParts > 1 ? 'have' : 'has'} no rows`);
  if (index !== null) notes.push('its first column, without a name, only counts the rows, and is left out');
  if (isNamed && isIndex && INDEX_NAMES.includes(columns[0].name))
    notes.push(
      'its first column has no name and is clustered; if it is an index, leave it out with --drop 1',
    );
  // Only text has no names but those of its first line.
  if (isPlain !== undefined && isNamed && isNumbered(columns.map(({ name }) => name)))
    notes.push(
      'its first line, the numbers of its columns, is taken for a header; if it is a row, write its 0 as 0.0',
    );
  if (dropped)
    notes.push(
      dropped > 1
        ? `${dropped} rows with missing values are left out`
        : '1 row with missing values is left out',
    );
  return notes;
}

/** What was filled of this many rows; null if nothing was. `counts`: numbers of each column that were not missing. */
function filledText(
  path: string,
  columns: readonly { name: string }[],
  counts: Float64Array,
  rows: number,
  { impute, run }: DecodeOptions,
): string | null {
  const some = columns
    .map(({ name }, c) => ({ name, count: rows - counts[c] }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
  if (!some.length) return null;
  const all = some.reduce((sum, { count }) => sum + count, 0);
  const kind = `${impute}${some.length > 1 ? 's' : ''}`;
  const of = run === undefined ? '' : ` of the run ${run}`;
  const named = some.map(({ name, count }) => `${name} ${count.toLocaleString('en')}`);
  return `${path}: ${all.toLocaleString('en')} missing values are filled with the ${kind}${of}: ${firstNames(named)}`;
}

interface Decoded {
  path: string;
  read(into: Uint8Array, first: number): void;
  write(bytes: Uint8Array, first: number): void;
  rows: number;
  width: number;
}

/** Fills the missing values of what has been written, and returns with what; only the columns of `sums` may have some. */
function filling(
  decoded: Decoded,
  names: readonly string[],
  sums: Float64Array,
  counts: Float64Array,
  { impute, fill: trained }: DecodeOptions,
): (number | null)[] | null {
  const { path, rows, width } = decoded;
  if (!trained && (impute === null || impute === 'drop')) return null;
  const fill = names.map((name, c): number | null => {
    if (trained) return trained[c] ?? null;
    if (c >= sums.length) return null;
    if (!counts[c])
      throw new UserError(
        counts.some((count) => count > 0) || width > sums.length
          ? `${path} has no value for ${name} in any row: there is nothing to fill it with`
          : `${path} has no value in any column that is clustered: there is nothing to fill them with`,
      );
    return impute === 'median' ? medianOf(decoded, c) : Math.fround(sums[c] / counts[c]);
  });
  if (counts.every((count) => count === rows)) return fill;
  eachChunk(decoded, (values, first) => {
    let changed = false;
    for (let i = 0; i < values.length; i++)
      if (Number.isNaN(values[i])) {
        values[i] = fill[i % width]!;
        changed = true;
      }
    if (changed) decoded.write(new Uint8Array(values.buffer, 0, values.length * 4), first * 4);
  });
  return fill;
}

/** Of the numbers of a column that are not missing; of an even number of them the mean of the two in the middle. */
function medianOf(decoded: Decoded, column: number): number {
  const { rows, width } = decoded;
  const all = new Float32Array(rows);
  let count = 0;
  eachChunk(decoded, (values) => {
    for (let at = column; at < values.length; at += width)
      if (!Number.isNaN(values[at])) all[count++] = values[at];
  });
  const sorted = all.subarray(0, count).sort();
  return Math.fround((sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2);
}

/** Whole rows at a time, from number `first` on. */
function eachChunk({ read, rows, width }: Decoded, use: (values: Float32Array, first: number) => void): void {
  const at = Math.max(1, Math.floor(CHUNK_ELEMENTS / width));
  for (let row = 0; row < rows; row += at) {
    const values = new Float32Array(Math.min(at, rows - row) * width);
    read(new Uint8Array(values.buffer), row * width * 4);
    use(values, row * width);
  }
}
