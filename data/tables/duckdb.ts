import { closeSync } from 'node:fs';
import zlib from 'node:zlib';
import type { DuckDBListVector } from '@duckdb/node-api';
import { openFile, readFully } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import {
  assertListWidth,
  type Batch,
  type Column,
  type Table,
  unequalLists,
  type Wanted,
  widthOf,
} from './table.ts';

/** DuckDB, which reads Parquet, CSV and JSON lines: in memory, with no access to the network or to extensions. */

type Api = typeof import('@duckdb/node-api');
export type Chunk = import('@duckdb/node-api').DuckDBDataChunk;

/** DuckDB is not installed, or not for this machine. */
export class NoDuckDB extends UserError {}

/** What DuckDB itself says of a query, in its first line. */
export class QueryFailed extends Error {}

/** Memory for its buffers; what does not fit is an error. */
const MEMORY = '512MB';

let opened: ReturnType<typeof open> | undefined;

async function open() {
  let api: Api;
  try {
    api = await import('@duckdb/node-api');
  } catch (error) {
    throw new NoDuckDB(
      `needs DuckDB, which cannot be loaded here (${(error as Error).message.split('\n')[0]}): npm install @duckdb/node-api`,
    );
  }
  return api.DuckDBInstance.create(':memory:', {
    memory_limit: MEMORY,
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
}

/** A text in SQL. */
export const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The path of a file in SQL, where `*`, `?` and `[` stand for themselves. */
export const fileLiteral = (path: string) => quoted(path.replace(/[*?[]/g, '[$&]'));

/** A name in SQL. */
const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The rows of a query in pieces, in the order of the file. Rejects with QueryFailed, and NoDuckDB. */
export async function* chunksOf(sql: string): AsyncGenerator<Chunk> {
  opened ??= open();
  opened.catch(() => {
    opened = undefined;
  });
  // Of its own: another query on a connection ends the one before.
  const connection = await (await opened).connect();
  try {
    const result = await connection.stream(sql);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk?.rowCount) return;
      yield chunk;
    }
  } catch (error) {
    throw failure(error);
  } finally {
    connection.closeSync();
  }
}

/** All rows of a query with a small result. */
export async function rowsOf(sql: string): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const chunk of chunksOf(sql)) rows.push(...chunk.getRows());
  return rows;
}

const failure = (error: unknown) => {
  if (error instanceof UserError || error instanceof QueryFailed) return error;
  return new QueryFailed((error as Error).message.split('\n')[0], { cause: error });
};

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

/** What DuckDB passes over in a Parquet file: checksums of pages, and decimals that it reads as other numbers. */

/** Bytes that are read for the header of a page at first; with long texts in its statistics it may have more. */
const HEADER_BYTES = 1 << 13;
const MOST_HEADER_BYTES = 1 << 24;
/** Digits of a decimal that DuckDB holds. */
const MOST_DIGITS = 38;

/**
 * Compares the checksum of each page that has one. Resolves to the names of columns with decimals of too many digits, with their types.
 * UserError if the file is damaged; none for a footer that is, as DuckDB says what is wrong with it.
 */
export async function checkPages(path: string): Promise<Map<string, string>> {
  const { parquetMetadataAsync } = await import('hyparquet');
  const { parquetHeader } = await import('hyparquet/src/column.js');
  const { fd, size } = openFile(path);
  const read = (start: number, length: number) => {
    const bytes = new Uint8Array(length);
    readFully({ fd, path }, bytes, start);
    return bytes;
  };
  const headerAt = (start: number, end: number) => {
    for (let length = HEADER_BYTES; ; length *= 2) {
      const bytes = read(start, Math.min(length, end - start));
      const reader = { view: new DataView(bytes.buffer), offset: 0 };
      try {
        const { crc, compressed_page_size: bytes } = parquetHeader(reader);
        if (!(bytes >= 0 && start + reader.offset + bytes <= end)) throw new Error('a page of no size');
        return { crc, bytes, length: reader.offset };
      } catch (error) {
        if (start + length >= end || length >= MOST_HEADER_BYTES) throw error;
      }
    }
  };
  try {
    const slice = async (start: number, end = size) => read(start, end - start).buffer;
    const metadata = await parquetMetadataAsync({ byteLength: size, slice }).catch(() => null);
    if (!metadata) return new Map();
    let hasChecksums = false;
    for (const [group, { columns }] of metadata.row_groups.entries())
      for (const { meta_data: chunk } of columns) {
        if (!chunk) continue;
        const { dictionary_page_offset: dictionary, data_page_offset: data } = chunk;
        const start = Number(dictionary && dictionary < data ? dictionary : data);
        const end = Math.min(start + Number(chunk.total_compressed_size), size);
        try {
          for (let at = start; at < end; ) {
            const { crc, bytes, length } = headerAt(at, end);
            hasChecksums ||= crc !== undefined;
            if (crc !== undefined && zlib.crc32(read(at + length, bytes)) !== crc >>> 0)
              throw new Error('a checksum differs');
            at += length + bytes;
          }
        } catch (error) {
          // Else it may be a habit of its writer, and DuckDB says what is wrong.
          if (hasChecksums)
            throw new UserError(
              `${path} is damaged (${(error as Error).message}, in column ${chunk.path_in_schema[0]} of row group ${group}): copy or save it again`,
            );
        }
      }
    return wideDecimals(metadata);
  } finally {
    closeSync(fd);
  }
}

type Metadata = Awaited<ReturnType<typeof import('hyparquet').parquetMetadataAsync>>;

function wideDecimals({ schema, row_groups: [group] }: Metadata): Map<string, string> {
  const leaves = schema.filter(({ num_children }) => !num_children);
  return new Map(
    (group?.columns ?? []).flatMap(({ meta_data }, i) => {
      const { precision = 0, scale } = leaves[i];
      return precision > MOST_DIGITS
        ? [[meta_data!.path_in_schema[0], `decimal(${precision},${scale})`]]
        : [];
    }),
  );
}
