import type { DuckDBListVector } from '@duckdb/node-api';
import { UserError } from '../../base/user-error.ts';
import { type Chunk, chunksOf, identifier, QueryFailed, quoted, rowsOf } from './duckdb.ts';
import {
  assertListWidth,
  type Batch,
  type Column,
  type Table,
  unequalLists,
  type Wanted,
  widthOf,
} from './table.ts';

const NUMBERS = /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|BOOLEAN|DECIMAL\(.*\))$/;
const TEXTS = /^(VARCHAR|ENUM\(.*\)|UUID)$/;
/** Types with whole numbers that float64 may not hold. */
const WIDE = /^U?(BIG|HUGE)INT$/;
const MOST_WHOLE = Number.MAX_SAFE_INTEGER;

const kindOf = (type: string): Column['kind'] => {
  if (NUMBERS.test(type)) return 'number';
  if (TEXTS.test(type)) return 'text';
  const [, inner] = /^(.*?)\[\d*\]$/.exec(type) ?? [];
  return inner !== undefined && NUMBERS.test(inner) ? 'list' : 'other';
};

/** Types that JSON does not have: DuckDB takes texts for them, and spells them in its own way. */
const GUESSED = /^(UUID|TIME|DATE)$/;

/** Where a table is, for DuckDB. */
export interface Relation {
  /** An expression in SQL, such as `read_parquet('x.parquet')`. */
  sql: string;
  format: 'Parquet' | 'JSON lines';
  /** Does the file say how many rows it has, so that they need not be read to count them? */
  isCounted: boolean;
  /** The same with types that are not guessed, of which the argument is a list in SQL. */
  typed?(columns: string): string;
}

/** The table that a relation has. UserError where the file is not one, or is damaged. */
export async function duckdbTable(
  path: string,
  { sql: relation, format, isCounted, typed }: Relation,
): Promise<Table> {
  const named = (error: unknown) => problemOf(path, format, error);
  const query = (sql: string) =>
    rowsOf(sql).catch((error) => {
      throw named(error);
    });
  const described = await query(`DESCRIBE SELECT * FROM ${relation}`);
  const columns = described.map(([name, type]): Column => {
    const text = String(type);
    const isText = typed !== undefined && GUESSED.test(text);
    return { name: String(name), kind: isText ? 'text' : kindOf(text), type: typeName(text), width: 1 };
  });
  for (const column of columns) {
    if (column.kind === 'list') column.width = await firstLength(query, relation, column.name);
    assertListWidth(path, column);
  }
  const rows = isCounted ? Number((await query(`SELECT count(*) FROM ${relation}`))[0][0]) : null;
  const types = described.map(([, type]) => String(type));
  return {
    path,
    isNamed: true,
    columns,
    rows,
    async *read(wanted) {
      const fields = [
        ...wanted.numbers.map((index) => numberIn(columns[index], types[index])),
        // What begins with a byte order mark would be read without it.
        ...wanted.texts.map((index) => `'.' || CAST(${identifier(columns[index].name)} AS VARCHAR)`),
      ];
      const isGuessed = wanted.texts.some((index) => types[index] !== 'VARCHAR') && !areRenamed(columns);
      const from =
        typed && isGuessed
          ? typed(
              [
                ...wanted.numbers.map((i) => [i, types[i]] as const),
                ...wanted.texts.map((i) => [i, 'VARCHAR'] as const),
              ]
                .map(([i, type]) => `${quoted(columns[i].name)}: ${quoted(type)}`)
                .join(', '),
            )
          : relation;
      let start = 0;
      try {
        for await (const chunk of chunksOf(`SELECT ${fields.join(', ')} FROM ${from}`)) {
          yield batchOf(path, columns, wanted, chunk, start);
          start += chunk.rowCount;
        }
      } catch (error) {
        throw named(error);
      }
    },
  };
}

/** Has DuckDB given names of its own to columns whose names differ only in case, as in `a` and `A_1`? */
function areRenamed(columns: readonly Column[]): boolean {
  const names = new Set(columns.map(({ name }) => name.toLowerCase()));
  return columns.some(({ name }) => /_\d+$/.test(name) && names.has(name.toLowerCase().replace(/_\d+$/, '')));
}

/** DuckDB's names of types, as users of other tools know them. */
const typeName = (type: string) =>
  ({
    VARCHAR: 'text',
    DOUBLE: 'float64',
    FLOAT: 'float32',
    BIGINT: 'int64',
    INTEGER: 'int32',
    BOOLEAN: 'bool',
  })[type] ?? type.toLowerCase().slice(0, 60);

/** Missing numbers as NaN, as nulls are slow to tell apart here; whole ones that float64 cannot hold as infinite. */
function numberIn({ name, kind }: Column, type: string): string {
  const column = identifier(name);
  if (kind === 'list') return `CAST(${column} AS DOUBLE[])`;
  const value = `COALESCE(CAST(${column} AS DOUBLE), CAST('nan' AS DOUBLE))`;
  if (!WIDE.test(type)) return value;
  const fits = `${column} BETWEEN ${type.startsWith('U') ? 0 : -MOST_WHOLE} AND ${MOST_WHOLE}`;
  return `CASE WHEN ${column} IS NULL OR ${fits} THEN ${value} ELSE CAST('inf' AS DOUBLE) END`;
}

async function firstLength(query: typeof rowsOf, relation: string, name: string): Promise<number> {
  const column = identifier(name);
  const [row] = await query(`SELECT len(${column}) FROM ${relation} WHERE ${column} IS NOT NULL LIMIT 1`);
  return Number(row?.[0] ?? 1);
}

function batchOf(
  path: string,
  columns: readonly Column[],
  { numbers, texts }: Wanted,
  chunk: Chunk,
  start: number,
): Batch {
  const rows = chunk.rowCount;
  const width = widthOf(columns, numbers);
  const values = new Float64Array(rows * width);
  let at = 0;
  for (const [i, index] of numbers.entries()) {
    const column = columns[index];
    if (column.kind === 'list') copyLists(values, chunk, i, at, width, { path, column, start });
    else copyNumbers(values, chunk, i, at, width);
    at += column.width;
  }
  return {
    rows,
    values,
    texts: texts.map((_, i) => textsOf(chunk, numbers.length + i)),
  };
}

/** Those of a column, behind a point. */
export const textsOf = (chunk: Chunk, column: number): (string | null)[] =>
  (chunk.getColumnValues(column) as (string | null)[]).map((text) => text?.slice(1) ?? null);

/** What vectors of DOUBLE have. */
interface Doubles {
  items: Float64Array;
  validity: { itemValid(item: number): boolean; data?: unknown };
}

function copyNumbers(out: Float64Array, chunk: Chunk, vector: number, at: number, width: number): void {
  const { items } = chunk.getColumnVector(vector) as unknown as Doubles;
  for (let i = 0, o = at; i < items.length; i++, o += width) out[o] = items[i];
}

function copyLists(
  out: Float64Array,
  chunk: Chunk,
  vector: number,
  at: number,
  width: number,
  about: { path: string; column: Column; start: number },
): void {
  const lists = chunk.getColumnVector(vector) as DuckDBListVector;
  const { items, validity } = lists.childVector as unknown as Doubles;
  const { path, column, start } = about;
  const valid = (lists as unknown as Doubles).validity;
  for (let i = 0, o = at; i < lists.itemCount; i++, o += width) {
    if (!valid.itemValid(i)) {
      out.fill(Number.NaN, o, o + column.width);
      continue;
    }
    const from = lists.getEntryOffset(i);
    const length = lists.getEntryLength(i);
    if (length !== column.width) throw unequalLists(path, start + i, column, length);
    for (let d = 0; d < length; d++)
      out[o + d] = validity.data && !validity.itemValid(from + d) ? Number.NaN : items[from + d];
  }
}

function problemOf(path: string, format: string, error: unknown): unknown {
  if (!(error instanceof QueryFailed)) {
    if (error instanceof UserError && !error.message.startsWith(path))
      return new UserError(`${path} ${error.message}`);
    return error;
  }
  if (format === 'Parquet' && /No magic bytes|too small to be a Parquet/.test(error.message))
    return new UserError(`${path} is incomplete (no Parquet footer): copy it again`);
  const what = error.message.replace(/^[A-Za-z ]+ Error: /, '').replaceAll(`'${path}'`, 'it');
  return new UserError(`${path} cannot be read as ${format}: ${what.slice(0, 200)}`);
}
