import { UserError } from '../../base/user-error.ts';
import { MAX_MAGNITUDE } from '../../model/arrays.ts';
import { HOST_ORDER } from '../arrays/dtype.ts';
import { assertRoom } from '../cache.ts';
import { tellingNames } from '../column-names.ts';
import { CHUNK_ELEMENTS, createNpyBytes } from '../npy.ts';
import type { TableFacts } from '../source.ts';
import { formatNumber, MAX_FLOAT32 } from '../value-range.ts';
import { isNumbered } from './csv-rows.ts';
import {
  type Categories,
  categoriesOf,
  categoryOf,
  INDEX_NAMES,
  notesOnCategories,
  type SelectedColumns,
} from './select-columns.ts';
import { notesOn as notesOnSuspects, type Suspect, watchColumns } from './suspect-columns.ts';
import { type Batch, firstNames, fromZero, shown, type Table, widthOf } from './table.ts';

/** What stands in the place of missing numbers: the mean or the median of their column; or their rows are dropped. */
export type Imputation = 'mean' | 'median' | 'drop';

export interface DecodeOptions {
  /** Called with the number of rows that have been read, again and again. */
  onRows?: (rows: number) => void;
  /** Are columns that name rows, or are dates, left out? Not where people have named the columns. */
  asks?: boolean;
  /** What people should know of how the columns were chosen. */
  notes?: readonly string[];
  impute: Imputation | null;
  /** Of a trained model: what to fill each column with, and the categories of each column of them. */
  fill?: readonly (number | null)[] | null;
  categories?: Categories | null;
  /** That model's run, for messages. */
  run?: string;
}

/** What is known of a table once it is decoded; written after the array. */
export interface DecodedTable extends Omit<TableFacts, 'parts'> {
  /** Of the columns that are clustered; null where the table names none, or only numbers them. */
  names: string[] | null;
  /** Which reader of text tables took it. */
  isPlain: boolean;
}

/** What the rows have shows that other columns are to be clustered. */
export class OtherColumns extends Error {
  readonly selected: SelectedColumns;
  readonly notes: readonly string[];
  constructor(selected: SelectedColumns, notes: readonly string[] = []) {
    super();
    this.selected = selected;
    this.notes = notes;
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
  const { path, columns } = table;
  const categories = await categoriesOf(table, categorical, options.categories);
  const own = widthOf(columns, numbers);
  const read = own + Number(index !== null);
  const width = own + categorical.reduce((sum, c) => sum + categories[columns[c].name].length - 1, 0);
  if (!width) throw new UserError(`${path} has one category in each column: add columns that vary`);
  const { nameOf, typeOf } = numbersOf(table, numbers);
  assertRoom(target, path, 4 * width * (table.rows ?? 0));
  const writer = createNpyBytes(target, `${HOST_ORDER}f4`, [0, width], { mode: 0o600 });
  const chunk = new Float32Array(Math.max(1, Math.floor(CHUNK_ELEMENTS / width)) * width);
  const sums = new Float64Array(own);
  const counts = new Float64Array(own);
  const dropped: number[] = [];
  const isAsked = options.asks && own === numbers.length;
  const watched = isAsked ? watchColumns(numbers.map((c) => (table.isNamed ? columns[c].name : 'x'))) : null;
  let [rows, kept, filled, written] = [0, 0, 0, 0];
  const blank = { count: 0, first: '' };
  // An index counts all rows, or those of each part.
  let [countsAll, countsOwn] = [true, true];
  const flush = () => {
    writer.write(new Uint8Array(chunk.buffer, 0, filled * 4), written);
    written += filled * 4;
    filled = 0;
  };
  const addNumbers = (batch: Batch, i: number): boolean => {
    let missing = 0;
    for (let c = 0, at = i * read + (read - own); c < own; c++, at++) {
      const value = batch.values[at];
      // False for NaN, too.
      if (Math.abs(value) <= MAX_FLOAT32) {
        sums[c] += value;
        counts[c]++;
      } else if (!Number.isNaN(value) || (options.impute === null && options.fill?.[c] == null)) {
        const column = { name: nameOf(c), type: typeOf(c) };
        throw badValue({ path, batch, i, row: rows + i, c: c + (read - own), column }, value, options.run);
      } else if (options.impute === 'drop') return false;
      else missing++;
      watched?.add(c, value);
      chunk[filled + c] = value;
    }
    if (missing === width && !blank.count++) blank.first = batch.rowName?.(i) ?? fromZero(rows + i);
    return true;
  };
  const addCategories = (batch: Batch, i: number) => {
    let at = filled + own;
    for (const [t, column] of categorical.entries()) {
      const { name } = columns[column];
      const known = categories[name];
      const category = categoryOf(batch.texts[t][i]);
      const found = known.indexOf(category);
      if (found < 0)
        throw new UserError(
          `${path} ${batch.rowName?.(i) ?? fromZero(rows + i)}, column ${name}: ${shown(category)} is none of the categories of the run (${known.slice(0, 5).join(', ')}${known.length > 5 ? ', …' : ''})`,
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
          countsAll &&= batch.values[i * read] === rows + i;
          countsOwn &&= batch.values[i * read] === (batch.first ?? rows) + i;
          if (!countsAll && !countsOwn)
            throw new OtherColumns({ ...selected, numbers: [index, ...numbers], index: null });
        }
        if (filled + width > chunk.length) flush();
        if (!addNumbers(batch, i)) {
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
    if (!rows) throw new UserError(`${path} has a header but no rows: save it again with data`);
    if (!kept) throw new UserError(`${path} has missing values in every row: impute them with --impute mean`);
    flush();
    const suspects = await watched?.found((c) => areDifferent(table, numbers[c]));
    const { sure, unsure } = suspects ?? { sure: [], unsure: [] };
    if (sure.length && (sure.length < own || categorical.length)) throw without(table, selected, sure);
    // Of a first column without a name, which people have not asked for, and of which nothing else is said.
    const isIndex =
      options.asks && numbers[0] === 0 && numbers.length > 1 && !unsure.some(({ column }) => column === 0);
    const notes = [
      ...notesOn(table, index, isIndex === true, dropped.length, options.run),
      ...(options.notes ?? []),
      ...notesOnSuspects(
        [...sure, ...unsure],
        (c) => calledIn(table, numbers[c]),
        'is clustered: leave it out with --drop, or name the columns with --columns',
      ),
      ...(options.categories ? [] : notesOnCategories(categories)),
      ...(blank.count
        ? [`rows without any value, which are filled in whole: ${blank.count}, the first is ${blank.first}`]
        : []),
    ];
    const missing = Array.from(counts, (count, c) => ({ name: nameOf(c), count: kept - count }));
    const fill = await filling(
      { path, read: writer.read, write: writer.write, rows: kept, width, own },
      { sums, counts, nameOf },
      options,
    );
    const names = table.isNamed
      ? [
          ...Array.from({ length: own }, (_, c) => nameOf(c)),
          ...categorical.flatMap((c) =>
            categories[columns[c].name].slice(1).map((value) => `${columns[c].name}=${value}`),
          ),
        ]
      : null;
    const about: DecodedTable = {
      names: names && tellingNames(names) && names,
      fill,
      dropped,
      categories,
      leftOut: leftOut.map((column) => columns[column].name || String(column + 1)),
      aside: aside.map((column) => keyOf(table, column)),
      note: notes.length ? `${path}: ${notes.join('; ')}` : null,
      filled: fill && filledText(path, missing, options),
      isPlain: table.isPlain === true,
    };
    writer.finish([kept, width], Buffer.from(JSON.stringify(about)));
    return about;
  } catch (error) {
    writer.abort();
    throw error;
  }
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
  { columns, isNamed, emptyParts, isPlain, notes = [] }: Table,
  index: number | null,
  isIndex: boolean,
  dropped: number,
  run: string | undefined,
): string[] {
  return [
    // Behind a semicolon they say with which flags of `train` it would be otherwise.
    ...(run === undefined ? notes : notes.map((note) => note.split(';')[0])),
    ...(emptyParts ? [`${emptyParts} of its files ${emptyParts > 1 ? 'have' : 'has'} no rows`] : []),
    ...(index === null ? [] : ['its first column, without a name, only counts the rows, and is left out']),
    ...(isNamed && isIndex && INDEX_NAMES.includes(columns[0].name)
      ? ['its first column has no name and is clustered; if it is an index, leave it out with --drop 1']
      : []),
    // Only text has no names but those of its first line.
    ...(isPlain !== undefined && isNamed && isNumbered(columns.map(({ name }) => name))
      ? [
          'its first line, the numbers of its columns, is taken for a header; if it is a row, write its 0 as 0.0',
        ]
      : []),
    ...(dropped
      ? [
          dropped > 1
            ? `${dropped} rows with missing values are left out`
            : '1 row with missing values is left out',
        ]
      : []),
  ];
}

/** What was filled; null if nothing was. */
function filledText(
  path: string,
  missing: readonly { name: string; count: number }[],
  { impute, run }: DecodeOptions,
): string | null {
  const some = missing.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  if (!some.length) return null;
  const all = some.reduce((sum, { count }) => sum + count, 0);
  const kind = `${impute}${some.length > 1 ? 's' : ''}`;
  const of = run === undefined ? '' : ` of the run ${run}`;
  const named = some.map(({ name, count }) => `${name} ${count.toLocaleString('en')}`);
  return `${path}: ${all.toLocaleString('en')} missing values are filled with the ${kind}${of}: ${firstNames(named)}`;
}

/** Of each number the name, that of its column with its place in a list from 1, and the type. */
function numbersOf({ columns }: Table, numbers: readonly number[]) {
  const all = numbers.flatMap((index) => {
    const { name, width, kind, type } = columns[index];
    return kind === 'list'
      ? Array.from({ length: width }, (_, d) => ({ name: `${name}[${d + 1}]`, type }))
      : [{ name, type }];
  });
  return { nameOf: (c: number) => all[c].name, typeOf: (c: number) => all[c].type };
}

interface Decoded {
  path: string;
  read(into: Uint8Array, first: number): void;
  write(bytes: Uint8Array, first: number): void;
  rows: number;
  width: number;
  /** Columns, the first ones, that may have missing values. */
  own: number;
}

/** Fills the missing values of what has been written, and returns with what. */
async function filling(
  decoded: Decoded,
  { sums, counts, nameOf }: { sums: Float64Array; counts: Float64Array; nameOf: (c: number) => string },
  { impute, fill: trained }: DecodeOptions,
): Promise<(number | null)[] | null> {
  const { path, rows, width, own } = decoded;
  if (!trained && (impute === null || impute === 'drop')) return null;
  const fill = Array.from({ length: width }, (_, c): number | null => {
    if (trained) return trained[c] ?? null;
    if (c >= own) return null;
    if (!counts[c])
      throw new UserError(
        width > own || counts.some((count) => count > 0)
          ? `${path} has no value in column ${nameOf(c)}: leave it out with --drop ${nameOf(c)}`
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

interface Place {
  path: string;
  batch: Batch;
  /** The row in the batch, and in the file. */
  i: number;
  row: number;
  /** The column among those that were read. */
  c: number;
  column: { name: string; type: string };
}

function badValue({ path, batch, i, row, c, column }: Place, value: number, run?: string): UserError {
  const field = batch.field?.(i, c);
  const where = `${path} ${batch.rowName?.(i) ?? fromZero(row)}, column ${column.name}:${field === undefined ? '' : ` ${shown(field)}`}`;
  if (Number.isNaN(value))
    return new UserError(
      run === undefined
        ? `${where} is a missing value; fill them with --impute mean or median, or leave such rows out with --impute drop`
        : `${where} is a missing value, and the run ${run} fills none: fill it or remove the row; predict fills what is missing if the run was trained with --impute median`,
    );
  // Whole numbers have no infinite ones: see `duckdb-table.ts`.
  const problem =
    column.type.includes('int') && !Number.isFinite(value)
      ? 'is a whole number beyond 2^53, which cannot be computed with exactly'
      : problemOf(value);
  return new UserError(`${where} ${problem}; correct it or drop the column`);
}

const problemOf = (value: number): string =>
  Number.isFinite(value)
    ? `is larger than the supported maximum (${formatNumber(MAX_MAGNITUDE)})`
    : 'is infinite';
