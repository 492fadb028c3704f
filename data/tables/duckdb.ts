import { closeSync } from 'node:fs';
import zlib from 'node:zlib';
import type { DuckDBDataChunk, DuckDBListVector } from '@duckdb/node-api';
import { openFile, readFully } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import {
  assertListWidth,
  type Column,
  type Table,
  type TableBatch,
  unequalLists,
  type Wanted,
  widthOf,
} from './table.ts';

/** DuckDB, which reads Parquet, CSV and JSON lines: in memory, with no access to the network or to extensions. */

/** DuckDB is not installed, or not for this machine. */
export class NoDuckDB extends UserError {}

/** What DuckDB itself says of a query, in its first line. */
export class QueryFailed extends Error {}

/** Memory for its buffers; what does not fit is an error. */
const MEMORY = '512MB';

let opened: ReturnType<typeof open> | undefined;

async function open() {
  const { DuckDBInstance } = await import('@duckdb/node-api').catch((error: Error) => {
    throw new NoDuckDB(
      `needs DuckDB, which cannot be loaded here (${error.message.split('\n')[0]}): npm install @duckdb/node-api`,
    );
  });
  return DuckDBInstance.create(':memory:', {
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
async function* chunksOf(sql: string): AsyncGenerator<DuckDBDataChunk> {
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
    throw new QueryFailed((error as Error).message.split('\n')[0], { cause: error });
  } finally {
    connection.closeSync();
  }
}

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

/**
 * The table that an expression in SQL has, such as `read_parquet('x.parquet')`. Rows of Parquet are counted without reading them.
 * `typed`: the expression with types that are not guessed, of which the argument is a list in SQL. UserError where the file is not one,
 * or is damaged.
 */
export async function duckdbTable(
  path: string,
  format: 'Parquet' | 'JSON lines',
  relation: string,
  typed?: (columns: string) => string,
): Promise<Table> {
  /** All rows of a query with a small result. */
  const query = async (sql: string) => {
    const rows: unknown[][] = [];
    try {
      for await (const chunk of chunksOf(sql)) rows.push(...chunk.getRows());
    } catch (error) {
      throw problemOf(path, format, error);
    }
    return rows;
  };
  const described = await query(`DESCRIBE SELECT * FROM ${relation}`);
  const types = described.map(([, type]) => String(type));
  const columns = described.map(([name], i): Column => {
    const isText = typed !== undefined && GUESSED.test(types[i]);
    return {
      name: String(name),
      kind: isText ? 'text' : kindOf(types[i]),
      type: typeName(types[i]),
      width: 1,
    };
  });
  for (const column of columns) {
    const name = identifier(column.name);
    const first = `SELECT len(${name}) FROM ${relation} WHERE ${name} IS NOT NULL LIMIT 1`;
    if (column.kind === 'list') column.width = Number((await query(first))[0]?.[0] ?? 1);
    assertListWidth(path, column);
  }
  const rows = format === 'Parquet' ? Number((await query(`SELECT count(*) FROM ${relation}`))[0][0]) : null;
  return {
    path,
    isNamed: true,
    columns,
    rows,
    async *read(wanted) {
      const { numbers, texts } = wanted;
      const isGuessed = texts.some((index) => types[index] !== 'VARCHAR') && !areRenamed(columns);
      const typeOf = (i: number, type: string) => `${quoted(columns[i].name)}: ${quoted(type)}`;
      const given = [...numbers.map((i) => typeOf(i, types[i])), ...texts.map((i) => typeOf(i, 'VARCHAR'))];
      try {
        yield* batchesOf(path, columns, wanted, {
          numbers: numbers.map((index) => numberIn(columns[index], types[index])),
          texts: texts.map((index) => `CAST(${identifier(columns[index].name)} AS VARCHAR)`),
          from: typed && isGuessed ? typed(given.join(', ')) : relation,
        });
      } catch (error) {
        throw problemOf(path, format, error);
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
const TYPE_NAMES: Record<string, string> = {
  VARCHAR: 'text',
  DOUBLE: 'float64',
  FLOAT: 'float32',
  BIGINT: 'int64',
  INTEGER: 'int32',
  BOOLEAN: 'bool',
};
const typeName = (type: string) => TYPE_NAMES[type] ?? type.toLowerCase().slice(0, 60);

/** A number in SQL; NaN where it is missing, as nulls are slow to tell apart here. */
export const orNaN = (number: string) => `COALESCE(${number}, CAST('nan' AS DOUBLE))`;

/** Whole numbers that float64 cannot hold are infinite. */
function numberIn({ name, kind }: Column, type: string): string {
  const column = identifier(name);
  if (kind === 'list') return `CAST(${column} AS DOUBLE[])`;
  const value = orNaN(`CAST(${column} AS DOUBLE)`);
  if (!WIDE.test(type)) return value;
  const fits = `${column} BETWEEN ${type.startsWith('U') ? 0 : -MOST_WHOLE} AND ${MOST_WHOLE}`;
  return `CASE WHEN ${column} IS NULL OR ${fits} THEN ${value} ELSE CAST('inf' AS DOUBLE) END`;
}

/** What vectors of DOUBLE have. */
interface Doubles {
  items: Float64Array;
  validity: { itemValid(item: number): boolean; data?: unknown };
}

/** The rows of a query, which has the wanted numbers and texts as these expressions in SQL. Rejects with QueryFailed, and NoDuckDB. */
export async function* batchesOf(
  path: string,
  columns: readonly Column[],
  { numbers }: Wanted,
  sql: { numbers: readonly string[]; texts: readonly string[]; from: string },
): AsyncGenerator<TableBatch> {
  const width = widthOf(columns, numbers);
  // A text that begins with a byte order mark would be read without it.
  const fields = [...sql.numbers, ...sql.texts.map((text) => `'.' || ${text}`)];
  let start = 0;
  for await (const chunk of chunksOf(`SELECT ${fields.join(', ')} FROM ${sql.from}`)) {
    const rows = chunk.rowCount;
    const values = new Float64Array(rows * width);
    let at = 0;
    for (const [vector, index] of numbers.entries()) {
      const column = columns[index];
      if (column.kind === 'list') copyLists(values, at, width, chunk.getColumnVector(vector), column);
      else {
        const { items } = chunk.getColumnVector(vector) as unknown as Doubles;
        for (let i = 0, o = at; i < rows; i++, o += width) values[o] = items[i];
      }
      at += column.width;
    }
    const texts = sql.texts.map((_, i) => chunk.getColumnValues(numbers.length + i) as (string | null)[]);
    yield { rows, values, texts: texts.map((column) => column.map((text) => text?.slice(1) ?? null)) };
    start += rows;
  }

  function copyLists(out: Float64Array, at: number, width: number, vector: unknown, column: Column): void {
    const lists = vector as DuckDBListVector;
    const present = (vector as Doubles).validity;
    const { items, validity } = lists.childVector as unknown as Doubles;
    for (let i = 0, o = at; i < lists.itemCount; i++, o += width) {
      const isMissing = !present.itemValid(i);
      const from = lists.getEntryOffset(i);
      const length = lists.getEntryLength(i);
      if (!isMissing && length !== column.width) throw unequalLists(path, start + i, column, length);
      for (let d = 0; d < column.width; d++) {
        const isNumber = !isMissing && (!validity.data || validity.itemValid(from + d));
        out[o + d] = isNumber ? items[from + d] : Number.NaN;
      }
    }
  }
}

function problemOf(path: string, format: string, error: unknown): unknown {
  if (error instanceof NoDuckDB) return new UserError(`${path} ${error.message}`);
  if (!(error instanceof QueryFailed)) return error;
  if (format === 'Parquet' && /No magic bytes|too small to be a Parquet/.test(error.message))
    return new UserError(`${path} is incomplete (no Parquet footer): copy it again`);
  const what = error.message
    .replace(/^[A-Za-z ]+ Error: /, '')
    // It has counted the one that it could not read already.
    .replace(/^(Malformed JSON .* in (?:line|record\/value)) (\d+)/s, (_, of, count) => `${of} ${count - 1}`)
    .replaceAll(`'${path}'`, 'it');
  return new UserError(`${path} cannot be read as ${format}: ${what.slice(0, 200)}`);
}

/** What DuckDB passes over in a Parquet file: checksums of pages, and decimals that it reads as other numbers. */

/** Bytes that are read for the header of a page at first; with long texts in its statistics it may have more. */
const HEADER_BYTES = 1 << 13;
const MOST_HEADER_BYTES = 1 << 24;
/** Digits of a decimal that DuckDB holds. */
const MOST_DIGITS = 38;

/**
 * Compares the checksum of each page that has one. Resolves to the names of columns with decimals of too many digits, with their types,
 * and the names of all as the file has them, of which DuckDB renames those that differ from another in case alone, or not at all. UserError if the file is damaged; none for a footer that is, as DuckDB says what is wrong with it.
 */
export async function checkPages(path: string): Promise<{ refused: Map<string, string>; names: string[] }> {
  const { parquetMetadataAsync, parquetSchema } = await import('hyparquet');
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
    if (!metadata) return { refused: new Map(), names: [] };
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
    const leaves = metadata.schema.filter(({ num_children }) => !num_children);
    const wide = (metadata.row_groups[0]?.columns ?? []).flatMap(({ meta_data }, i): [string, string][] => {
      const { precision = 0, scale } = leaves[i];
      return precision > MOST_DIGITS
        ? [[meta_data!.path_in_schema[0], `decimal(${precision},${scale})`]]
        : [];
    });
    const names = parquetSchema(metadata).children.map(({ element }) => element.name);
    return { refused: new Map(wide), names };
  } finally {
    closeSync(fd);
  }
}
