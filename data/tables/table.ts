import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';

/** Tables: rows of named columns, from text, Parquet, Arrow or JSON lines. */

/**
 * What a column has: a number a row, also bools as 0 and 1; a list of numbers, such as an embedding; text; or what cannot be
 * clustered, such as dates.
 */
export type ColumnKind = 'number' | 'list' | 'text' | 'other';

/** The type of a column of a text table whose first rows have numbers and text, or neither. */
export const MIXED = 'numbers or text';

export interface Column {
  name: string;
  kind: ColumnKind;
  /** The type as the format calls it, for messages. */
  type: string;
  /** Numbers a row: 1, or the length of a list. */
  width: number;
}

/** Consecutive rows. */
export interface TableBatch {
  rows: number;
  /** The numbers of the columns asked for, row after row; NaN where they are missing. */
  values: Float64Array;
  /** The texts of the columns asked for, by column and row; null where they are missing. */
  texts: (string | null)[][];
  /** Of a table in parts: the number of its first row in its own file. */
  first?: number;
  /** Row i of the batch, and its field in column c of those asked for, for people, where they are known. */
  rowName?(i: number): string;
  field?(i: number, c: number): string;
}

/** Which columns to read, by their index. */
export interface Wanted {
  numbers: readonly number[];
  texts: readonly number[];
}

export interface Table {
  /** How messages call it. */
  path: string;
  /** Do the names come from the file? Else columns are called by their numbers, from 1. */
  isNamed: boolean;
  columns: Column[];
  /** The number of rows, where the file says it. */
  rows: number | null;
  /** What people should know of how it is read. */
  notes?: string[];
  /** Of text: it is read by the fast reader (see `csvTable`). */
  isPlain?: boolean;
  /** Of several files: how many of them have no rows. */
  emptyParts?: number;
  /** All rows, in their order. Rejects with a UserError that names the file, and the row or column of a bad value. */
  read(wanted: Wanted): AsyncGenerator<TableBatch>;
}

/** Numbers of a list, at most: with more, a few rows would not fit in memory. */
const MOST_IN_LIST = 16_384;

/** UserError for a list of too many numbers. */
export function assertListWidth(path: string, { name, width }: Column): void {
  if (width > MOST_IN_LIST)
    throw new UserError(
      `${path} has lists of ${width} numbers in ${name}, more than ${MOST_IN_LIST}: make them shorter, such as by principal components`,
    );
}

/** Numbers a row of these columns. */
export const widthOf = (columns: readonly Column[], indices: readonly number[]): number =>
  indices.reduce((sum, index) => sum + columns[index].width, 0);

/** The error for a list of another length than the first one of its column. */
export const unequalLists = (path: string, row: number, { name, width }: Column, length: number): UserError =>
  new UserError(
    `${path} ${fromZero(row)}: the list in ${name} has ${length} numbers, the first one ${width}: all must have the same length`,
  );

/** Names of columns in a message. */
const MOST_NAMED = 12;

/** The first ones of some names, for messages; an index may have none. */
export function firstNames(all: readonly string[], most = MOST_NAMED): string {
  const names = all.filter((name) => name !== '').map(oneLine);
  return `${names.slice(0, most).join(', ')}${names.length > most ? ', …' : ''}`;
}

/** Characters of a field in a message. */
const MOST_SHOWN = 40;

/** A field of a table, for messages. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text);

export const fromZero = (row: number) => `row ${row} (counted from 0)`;

/**
 * Tables that follow each other as one, beside `empty` files of 0 bytes. Those without rows are left out, as they may not tell the types of their columns. UserError
 * if the others have different columns.
 */
export function partsTable(path: string, all: readonly Table[], empty = 0): Table {
  const full = all.filter(({ rows }) => rows !== 0);
  const parts = full.length ? full : all.slice(0, 1);
  const [first, ...rest] = parts;
  for (const part of rest) assertSameColumns(first, part);
  const rows = parts.map((part) => part.rows);
  return {
    path,
    isNamed: first.isNamed,
    isPlain: first.isPlain,
    notes: first.notes,
    // A column is text only if all parts say so: each has looked at its own first rows.
    columns: first.columns,
    rows: rows.every((count) => count !== null) ? rows.reduce((sum, count) => sum + count!, 0) : null,
    emptyParts: empty + all.length - full.length,
    async *read(wanted) {
      for (const part of parts) {
        let start = 0;
        for await (const batch of part.read(wanted)) {
          yield { ...batch, first: start, rowName: namer(part, batch, start) };
          start += batch.rows;
        }
      }
    },
  };
}

/** Rows are counted in their own file. */
const namer =
  ({ path }: Table, { rowName }: TableBatch, start: number) =>
  (i: number) =>
    `(${path}) ${rowName?.(i) ?? fromZero(start + i)}`;

function assertSameColumns(first: Table, part: Table): void {
  const [ours, theirs] = [first, part].map(({ columns }) => columns);
  const says = `${part.path} has other columns than ${first.path}`;
  if (ours.length !== theirs.length) throw new UserError(`${says}: ${theirs.length}, not ${ours.length}`);
  for (const [i, { name, kind, width }] of ours.entries()) {
    const other = theirs[i];
    if (other.name !== name)
      throw new UserError(
        `${says}: column ${i + 1} is ${JSON.stringify(other.name)}, not ${JSON.stringify(name)}`,
      );
    if (other.kind !== kind || other.width !== width)
      throw new UserError(`${says}: column ${i + 1} (${name}) is ${other.type}, there ${ours[i].type}`);
  }
}

/** Are these fields the numbers of their columns from 0 on, as pandas calls columns without names? Before them may be an empty one, above its index. */
export function isNumbered(fields: readonly string[]): boolean {
  const numbers = fields[0] === '' ? fields.slice(1) : fields;
  return fields.length > 1 && numbers.every((field, i) => field === String(i));
}
