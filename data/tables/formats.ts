import { readdirSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { constants, gunzipSync } from 'node:zlib';
import { attempted, statusOf } from '../../base/files.ts';
import { readableNames } from '../../base/names.ts';
import { UserError } from '../../base/user-error.ts';
import { fileVersion } from '../cache.ts';
import {
  BINARY_TABLES,
  filesLike,
  isTableName,
  isTextName,
  type TableFormat,
  textFormatOf,
} from '../file-names.ts';
import { hasImages } from '../images/folder.ts';
import { NoRows } from '../source.ts';
import { compressionOf, headOf, unpacked, unpackedHead, utf16Error, utf16Of } from '../streams.ts';
import { csvTable, type TextOptions } from './csv-table.ts';
import { type Column, partsTable, type Table } from './table.ts';

/** Which files are tables, in which format, and the reader of each. What is made of the columns is decided elsewhere. */

/** A file with a table, or several that follow each other. */
export interface TableFile {
  /** As people have named it. */
  path: string;
  format: TableFormat;
  /** The files, in their order. */
  parts: string[];
  /** Differs when one of them may have changed. */
  version(): string;
}

/**
 * All objects are looked at for columns, and none is taken for a map; folders called `a=1` add no column. Text that looks like a date
 * stays as it is: no text has these formats.
 */
const JSON_OPTIONS =
  "sample_size=-1, map_inference_threshold=-1, hive_partitioning=false, dateformat='@', timestampformat='@'";

/** Compressed bytes from which it is told what is in a file. */
const PEEKED_BYTES = 1024;

/** The format of a table; null for another file. UserError for one that should have other first bytes. */
export function tableFormatOf(path: string, head: Uint8Array): TableFormat | null {
  const text = Buffer.from(head).toString('latin1');
  const binary = BINARY_TABLES.find(({ magic }) => text.startsWith(magic));
  if (binary) return binary.format;
  for (const { names, magic, called } of BINARY_TABLES)
    if (names.test(path))
      throw new UserError(
        `${path} is not a ${called} file: it does not begin with ${magic}; save or copy it again`,
      );
  return textFormatOf(path);
}

const isEmpty = (path: string) => statusOf(path)?.size === 0;

/** Is a file compressed by gzip, by its name or what is in it, a table? Else it may be a compressed IDX file. */
export function isPackedText(path: string): boolean {
  if (isTextName(path)) return true;
  try {
    const head = gunzipSync(headOf(path, PEEKED_BYTES), { finishFlush: constants.Z_SYNC_FLUSH });
    return head.length > 0 && !head.includes(0);
  } catch {
    return false;
  }
}

/** The table in a file. */
export const oneFile = (path: string, format: TableFormat): TableFile => ({
  ...{ path, format, parts: [path] },
  version: () => fileVersion(path),
});

/**
 * The tables in a folder, not below it, in the order of their names; null if there are none, or also images. UserError if they
 * have different formats.
 */
export function tablesInFolder(path: string): TableFile | null {
  const entries = attempted(path, 'read', () => readdirSync(path, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);
  const isOne = (name: string) => /^[^._]/.test(name) && isTableName(name);
  if (!entries.some(isOne) || hasImages(path)) return null;
  const names = readableNames(path, entries, isOne).map((name) => join(path, name));
  return severalFiles(path, names.sort());
}

/** The files that a pattern such as `parts/*.parquet` names, in the order of their names; null if there are none. */
export const tablesLike = (pattern: string): TableFile | null => severalFiles(pattern, filesLike(pattern));

function severalFiles(path: string, files: string[]): TableFile | null {
  const found = files.flatMap((file) => {
    // Text of no rows, as where each process has written what it had.
    const format = tableFormatOf(
      file,
      isEmpty(file) && isTextName(file) ? new Uint8Array() : headOf(file, 8),
    );
    return format ? [{ file, format }] : [];
  });
  if (!found.length) return null;
  const [first] = found;
  const other = found.find(({ format }) => format !== first.format);
  if (other) {
    // A text beside them is more likely to be a note.
    const { file } = found.find(({ file }) => !/\.txt$/i.test(file)) ?? first;
    throw new UserError(
      `${path} has files of different formats (${first.file}: ${first.format}, ${other.file}: ${other.format}): name those to read with a pattern, such as '${join(dirname(file), `*${extname(file)}`)}'`,
    );
  }
  const parts = found.map(({ file }) => file);
  const version = () => JSON.stringify([resolve(path), ...parts.map(fileVersion)]);
  return { path, format: first.format, parts, version };
}

/** Opens a table for reading. */
export async function openReader({ path, format, parts }: TableFile, options: TextOptions): Promise<Table> {
  const tables: Table[] = [];
  let problem: unknown;
  for (const part of parts)
    try {
      tables.push(await openOne(part, format, options));
    } catch (error) {
      if (!(error instanceof NoRows) && !isEmpty(part)) throw error;
      problem ??= error;
    }
  if (!tables.length) throw problem;
  return parts.length === 1 ? tables[0] : partsTable(path, tables, parts.length - tables.length);
}

/** Compressed text whose checksum was found right, by its version. */
const unpackedOnce = new Set<string>();

/** UserError if a compressed file is damaged, as DuckDB looks at no checksum of gzip. */
async function assertUnpacks(path: string): Promise<void> {
  const version = fileVersion(path);
  if (compressionOf(headOf(path, 4)) === 'none' || unpackedOnce.has(version)) return;
  for await (const _ of unpacked(path));
  unpackedOnce.add(version);
}

/** Names that are said one by one. */
const MOST_RENAMED = 5;

/** Columns that are called otherwise than in the file, as others have their names there. */
function notesOnRenamed(columns: readonly Column[], names: readonly string[]): string[] {
  if (columns.length !== names.length) return [];
  const renamed = columns.flatMap(({ name }, i) =>
    name === names[i] ? [] : [`column ${i + 1}, ${names[i]}, is called ${name}`],
  );
  if (!renamed.length) return [];
  const more = renamed.length > MOST_RENAMED ? `, and ${renamed.length - MOST_RENAMED} others likewise` : '';
  return [`${renamed.slice(0, MOST_RENAMED).join(', ')}${more}, as another has its name`];
}

async function openOne(path: string, format: TableFormat, options: TextOptions): Promise<Table> {
  if (format === 'csv') {
    // The other reader unpacks it itself.
    if (options.isPlain) await assertUnpacks(path);
    return csvTable(path, options);
  }
  if (format === 'arrow') return (await import('./arrow-table.ts')).arrowTable(path);
  const { checkPages, duckdbTable, fileLiteral, quoted } = await import('./duckdb.ts');
  if (format === 'parquet') {
    const { refused, names } = await checkPages(path);
    const table = await duckdbTable(
      path,
      'Parquet',
      `read_parquet(${fileLiteral(path)}, hive_partitioning=false)`,
    );
    const columns = table.columns.map((column) => {
      const type = refused.get(column.name);
      return type === undefined ? column : { ...column, kind: 'other' as const, type };
    });
    return { ...table, columns, notes: notesOnRenamed(columns, names) };
  }
  await assertUnpacks(path);
  if (utf16Of(await unpackedHead(path, 64))) throw utf16Error(path);
  const compression = compressionOf(headOf(path, 4));
  const named = quoted(compression === 'none' ? 'uncompressed' : compression);
  const json = (columns: string) =>
    `read_json(${fileLiteral(path)}, ${JSON_OPTIONS}, compression=${named}${columns})`;
  return duckdbTable(path, 'JSON lines', json(''), (columns) => json(`, columns={${columns}}`));
}
