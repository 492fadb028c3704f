import { lstatSync, readdirSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { constants, gunzipSync } from 'node:zlib';
import { attempted, statusOf } from '../../base/files.ts';
import { type OnNotUtf8, readableNames } from '../../base/names.ts';
import { UserError } from '../../base/user-error.ts';
import { fileVersion } from '../cache.ts';
import { hasImages } from '../images/folder.ts';
import { NoRows } from '../source.ts';
import { compressionOf, headOf, unpacked } from '../streams.ts';
import { csvTable, type TextOptions } from './csv-table.ts';
import { partsTable, type Table } from './table.ts';

export type TableFormat = 'csv' | 'parquet' | 'arrow' | 'json lines';

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

/** How the formats are recognized: by the first bytes of a file, or text by the file's name. */
const BINARY: { format: TableFormat; magic: string; names: RegExp; called: string }[] = [
  { format: 'parquet', magic: 'PAR1', names: /\.(parquet|pq)$/i, called: 'Parquet' },
  { format: 'arrow', magic: 'ARROW1', names: /\.(feather|arrow|ipc)$/i, called: 'Arrow (Feather version 2)' },
];
const TEXT: [RegExp, TableFormat][] = [
  [/\.(csv|tsv|txt)(\.(gz|zst|zstd))?$/i, 'csv'],
  [/\.(jsonl|ndjson|json)(\.(gz|zst|zstd))?$/i, 'json lines'],
];

/** The format of a table; null for another file. UserError for one that should have other first bytes. */
export function tableFormatOf(path: string, head: Uint8Array): TableFormat | null {
  const text = Buffer.from(head).toString('latin1');
  const binary = BINARY.find(({ magic }) => text.startsWith(magic));
  if (binary) return binary.format;
  for (const { names, magic, called } of BINARY)
    if (names.test(path))
      throw new UserError(
        `${path} is not a ${called} file: it does not begin with ${magic}; save or copy it again`,
      );
  return TEXT.find(([name]) => name.test(path))?.[1] ?? null;
}

/** Is this the name of a table? */
export const isTableName = (path: string): boolean =>
  BINARY.some(({ names }) => names.test(path)) || isText(path);

const isText = (path: string) => TEXT.some(([name]) => name.test(path));
const isEmpty = (path: string) => statusOf(path)?.size === 0;

/** Is a file compressed by gzip, by its name or what is in it, a table? Else it may be a compressed IDX file. */
export function isPackedText(path: string): boolean {
  if (isText(path)) return true;
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
    const format = tableFormatOf(file, isEmpty(file) && isText(file) ? new Uint8Array() : headOf(file, 8));
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

async function openOne(path: string, format: TableFormat, options: TextOptions): Promise<Table> {
  if (format === 'csv') {
    // The other reader unpacks it itself.
    if (options.isPlain) await assertUnpacks(path);
    return csvTable(path, options);
  }
  if (format === 'arrow') return (await import('./arrow-table.ts')).arrowTable(path);
  const { checkPages, duckdbTable, fileLiteral, quoted } = await import('./duckdb.ts');
  if (format === 'parquet') {
    const refused = await checkPages(path);
    const table = await duckdbTable(
      path,
      'Parquet',
      `read_parquet(${fileLiteral(path)}, hive_partitioning=false)`,
    );
    const columns = table.columns.map((column) => {
      const type = refused.get(column.name);
      return type === undefined ? column : { ...column, kind: 'other' as const, type };
    });
    return { ...table, columns };
  }
  await assertUnpacks(path);
  const compression = compressionOf(headOf(path, 4));
  const named = quoted(compression === 'none' ? 'uncompressed' : compression);
  const json = (columns: string) =>
    `read_json(${fileLiteral(path)}, ${JSON_OPTIONS}, compression=${named}${columns})`;
  return duckdbTable(path, 'JSON lines', json(''), (columns) => json(`, columns={${columns}}`));
}

const IS_PATTERN = /[*?{[]/;
/** The most patterns that the alternatives in braces may stand for. */
const MOST_PATTERNS = 1000;

/** Does a path that leads nowhere look like a pattern of file names? */
export const isPattern = (path: string) => IS_PATTERN.test(path) && statusOf(path) === undefined;

/** The folder of a pattern: all of it before the first part with a wildcard. */
export function folderOf(pattern: string): string {
  const parts = pattern.split('/');
  const fixed = parts.findIndex((_, i) => isPattern(parts.slice(0, i + 1).join('/')));
  return parts.slice(0, fixed).join('/') || (pattern.startsWith('/') ? '/' : '.');
}

/**
 * The files that a pattern names, such as `parts/*.csv`, `{a,b}/[0-9]?.csv` or `**` for folders at any depth; sorted. `refuse`: as of
 * `readableNames`.
 */
export function filesLike(pattern: string, refuse?: OnNotUtf8): string[] {
  const found = alternatives(pattern).flatMap((one) =>
    below(one.startsWith('/') ? '/' : '', one.split('/').filter(Boolean), refuse),
  );
  return [...new Set(found)].filter((path) => statusOf(path)?.isFile()).sort();
}

/** A pattern for each way to choose from its braces. */
function alternatives(pattern: string): string[] {
  const chosen: string[] = [];
  const left = [pattern];
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    const [, before, choices, after] = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/s.exec(one) ?? [];
    if (choices === undefined) chosen.push(one);
    else for (const choice of choices.split(',')) left.push(before + choice + after);
    if (chosen.length + left.length > MOST_PATTERNS)
      throw new UserError(
        `${pattern} stands for more than ${MOST_PATTERNS} patterns: name the folder, or use *`,
      );
  }
  return chosen;
}

function below(folder: string, [name, ...rest]: string[], refuse?: OnNotUtf8): string[] {
  if (name === undefined) return [folder];
  if (!statusOf(folder || '.')?.isDirectory()) return [];
  if (!isPattern(join(folder, name))) return below(join(folder, name), rest, refuse);
  const isDeep = name === '**';
  const all = attempted(folder, 'read', () => readdirSync(folder || '.'));
  const names = readableNames(folder, all, likeFile(name), refuse, isDeep || rest.length > 0);
  const found = names.map((own) => join(folder, own));
  if (!isDeep) return found.flatMap((path) => below(path, rest, refuse));
  const deeper = found.filter(isOwnFolder).flatMap((path) => below(path, [name, ...rest], refuse));
  return [...below(folder, rest.length ? rest : ['*'], refuse), ...deeper];
}

/** No link, which may lead in circles. */
const isOwnFolder = (path: string) => attempted(path, 'read', () => lstatSync(path)).isDirectory();

/** Patterns of names, matched without going back more than to the last `*`: a regular expression could take years. */

/** What one character may be; null: any number of any characters. */
type Token = ((character: string) => boolean) | null;

/** A matcher of names in which each `*` stands for any text. */
export const likeName = (pattern: string): ((name: string) => boolean) =>
  matcher([...pattern].map((own) => (own === '*' ? null : (character) => character === own)));

/** A matcher of file names: `*`, `?`, `[a-z]`, `[!a-z]`. What is hidden, only if the pattern begins with a dot too. */
export function likeFile(pattern: string): (name: string) => boolean {
  const parts = pattern.match(/\[[!^]?\]?[^\]]*\]|./gsu) ?? [];
  const matches = matcher(parts.map(fileToken));
  return (name) => matches(name) && (!name.startsWith('.') || pattern.startsWith('.'));
}

function fileToken(part: string): Token {
  if (part === '*') return null;
  if (part === '?') return () => true;
  if (part.length < 3) return (character) => character === part;
  const [, not, set] = /^\[([!^]?)(.*)\]$/su.exec(part)!;
  const ranges = [...set.matchAll(/(.)-(.)|(.)/gsu)].map(([, from, to, one]) => [from ?? one, to ?? one]);
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== (not !== '');
}

function matcher(tokens: readonly Token[]): (text: string) => boolean {
  return (text) => {
    const characters = [...text];
    let [at, star, from] = [0, -1, 0];
    for (let i = 0; i < characters.length; ) {
      const token = tokens[at];
      if (token === null) [star, from] = [at++, i];
      else if (token?.(characters[i])) [at, i] = [at + 1, i + 1];
      else if (star < 0) return false;
      else [at, i] = [star + 1, ++from];
    }
    return tokens.slice(at).every((token) => token === null);
  };
}
