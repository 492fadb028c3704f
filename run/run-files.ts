import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type * as z from 'zod/mini';
import { attempted, readFully, readWhole, withFile } from '../base/files.ts';
import { sha256 } from '../base/hash.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { decode, type NumericArray, parseDtype } from '../data/arrays/dtype.ts';
import { type ArrayFile, byteCount, openNpy, readNpy, tuple } from '../data/npy.ts';
import {
  LABELS,
  PARTS,
  PARTS_INDEX,
  type PartsIndex,
  partName,
  partsIndex,
  rowShape,
  type StemOf,
  stemOf,
} from '../data/row-parts.ts';
import { type OptionalColumns, ROW_COLUMNS, type RowValues } from '../model/row-columns.ts';

/**
 * The result files of a run, read with distrust: they may be damaged, and the run directory may come from elsewhere. So only
 * regular files in it are opened, lengths and shapes are checked, and hashes where run.json has them.
 */

/** SHA-256 in hexadecimal, by the file's path in the run directory. */
export type FileHashes = Record<string, string>;

/** No JSON file of a run's model is longer, and none that would be is written: it has some numbers for each column. Bytes. */
export const MOST_JSON = 64 << 20;
/** Nor is a run.json, with a name for each file of a table, and what outliers of each column are. */
export const MOST_RUN_JSON = 32 << 20;

/** What the run.json of a run has. UserError if it is not a regular file of it, or too long; a SyntaxError if it is no JSON. */
export const readRunJson = (run: string): unknown =>
  JSON.parse(readWhole(join(run, 'run.json'), MOST_RUN_JSON, { within: run }).toString());

/** The hashes that run.json has of the files of a run; none if it has none, or if there is no run.json of dpmesh. */
export function recordedHashes(run: string): FileHashes {
  try {
    const { dpmesh, files } = readRunJson(run) as Record<string, FileHashes>;
    return typeof dpmesh === 'string' && typeof files === 'object' && files !== null ? files : {};
  } catch {
    return {};
  }
}

export const sha256Of = (path: string, run: string): string =>
  withFile(path, ({ fd }) => sha256(fd), { within: run, canBeEmpty: true });

/** The files of a finished run. All methods throw a UserError for one that is missing, or not as it should be. */
export interface RunFiles {
  readonly run: string;
  /** Is it there, or has run.json its hash? */
  has(name: string): boolean;
  /** Does nothing if the file has the hash that run.json has of it, or run.json has none. */
  assertIntact(name: string): void;
  json(name: string): unknown;
  /** A file of this many bytes. */
  bytes(name: string, length: number): Buffer;
  /** A file of at most so many bytes. */
  whole(name: string, most: number): Buffer;
  /** A float64 array with a shape that `fits`; `expected` says in words which one does. */
  array(
    name: string,
    fits: (shape: readonly number[]) => boolean,
    expected: string,
    dtype?: '<f8' | '<i4',
  ): { shape: number[]; data: Float64Array };
  /** SHA-256 of the files that were read by `json`, `bytes` and `array`, as they were read. */
  hashesRead(): FileHashes;
  /** The error for a file with this problem. */
  damaged(name: string, problem: string): UserError;
}

/** `hashes`: those that run.json has; a run that is not finished has none. */
export function runFiles(run: string, hashes: FileHashes = {}): RunFiles {
  const damaged = (name: string, problem: string) => {
    const again = `dpmesh train --config ${join(run, 'run.json')} --out ELSEWHERE`;
    return new UserError(
      `${join(run, name)} is damaged (${problem}): restore it from a copy of the run, or repeat the run: ${again}`,
    );
  };
  function pathOf(name: string): string {
    const path = join(run, name);
    if (!existsSync(path)) throw damaged(name, 'it is missing');
    return path;
  }
  function assertHash(name: string, hash: string): void {
    if (Object.hasOwn(hashes, name) && hash !== hashes[name])
      throw damaged(name, 'its SHA-256 is not the one that run.json has');
  }
  const read: FileHashes = {};
  /** What is read and what is hashed are the same bytes: the file may be replaced meanwhile. */
  function known<Bytes extends Uint8Array>(name: string, bytes: Bytes): Bytes {
    read[name] = createHash('sha256').update(bytes).digest('hex');
    assertHash(name, read[name]);
    return bytes;
  }
  return {
    run,
    damaged,
    hashesRead: () => ({ ...read }),
    has: (name) => Object.hasOwn(hashes, name) || existsSync(join(run, name)),
    assertIntact(name) {
      if (Object.hasOwn(hashes, name)) assertHash(name, sha256Of(pathOf(name), run));
    },
    json(name) {
      const text = known(name, readWhole(pathOf(name), MOST_JSON, { within: run })).toString();
      try {
        return JSON.parse(text);
      } catch (error) {
        throw damaged(name, (error as Error).message);
      }
    },
    bytes(name, length) {
      const path = pathOf(name);
      const size = withFile(path, (file) => file.size, { within: run });
      if (size !== length) throw damaged(name, `${size} bytes instead of ${length}`);
      return known(name, readWhole(path, length, { within: run }));
    },
    whole: (name, most) => known(name, readWhole(pathOf(name), most, { within: run })),
    array(name, fits, expected, dtype = '<f8') {
      const path = pathOf(name);
      const file = openOfRun(path, dtype, fits, expected, run);
      try {
        const length = file.offset + byteCount(file);
        const { size } = attempted(path, 'read', () => fstatSync(file.fd));
        if (size !== length) throw damaged(name, `${size} bytes instead of ${length}`);
        const bytes = Buffer.alloc(size);
        readFully(file, bytes, 0);
        const data = decode(new Uint8Array(known(name, bytes).subarray(file.offset)), file.dtype);
        return { shape: [...file.shape], data: Float64Array.from(data) };
      } finally {
        closeSync(file.fd);
      }
    },
  };
}

/** What is written as JSON, which this schema has to read again. Throws an error, a fault of ours, where it would not. */
export function readable<T>(name: string, value: T, schema: z.ZodMiniType): T {
  const { error } = schema.safeParse(JSON.parse(JSON.stringify(value)));
  if (error) throw new Error(`${name} could not be read again: ${error.issues[0].path.join('.')}`);
  return value;
}

/** What a file has by this schema. UserError if it is damaged. */
export function checked<T>(files: RunFiles, name: string, schema: z.ZodMiniType<T>): T {
  const parsed = schema.safeParse(files.json(name));
  if (parsed.success) return parsed.data;
  const where = oneLine(parsed.error.issues[0].path.join('.')) || 'its content';
  throw files.damaged(name, `${where} is not as it should be`);
}

/** Opens an array of a run of this element type. UserError where its shape does not fit. The caller has to close `fd`. */
function openOfRun(
  path: string,
  descr: string,
  fits: (shape: readonly number[]) => boolean,
  expected: string,
  run = dirname(path),
): ArrayFile {
  const file = openNpy(path, path, { within: run });
  const { shape, dtype, fortran, fd } = file;
  if (dtype.descr === descr && !fortran && fits(shape)) return file;
  closeSync(fd);
  throw runFiles(run).damaged(
    relative(run, path),
    `${dtype.descr} of shape ${tuple(shape)} instead of ${descr} of ${expected}`,
  );
}

/** From labels to the numbers of clusters, −1 for what is none: of an update labels are ids, else these numbers. */
export function numberOfLabel(ids?: readonly number[]): (label: number) => number {
  if (!ids) return (label) => label;
  const numbers = new Map(ids.map((id, number) => [id, number]));
  return (label) => numbers.get(label) ?? -1;
}

/** What there is of each row of a run, from one file or from parts. */
export interface RowReader {
  read(start: number, count: number): NumericArray;
  close(): void;
}

/** The files of a column: one, or one for each part, with its hash. */
function filesOf(
  run: string,
  name: string,
  rows: number,
): { from: number; to: number; file: string; hash?: string }[] {
  if (existsSync(join(run, name)) || !existsSync(join(run, PARTS_INDEX)))
    return [{ from: 0, to: rows, file: name }];
  return readPartsIndex(run, rows).parts.map(({ from, to, ...columns }) => {
    const file = join(PARTS, partName(name, from, to));
    return { from, to, file, hash: columns[stemOf(name) as 'labels']?.sha256 };
  });
}

/** Opens a column of a run. UserError unless it has an element of this type for each of these rows, or as many as `rowShape` says. */
export function openRows(
  run: string,
  name: string,
  descr: string,
  rows: number,
  files = filesOf(run, name, rows),
): RowReader {
  const open = (path: string, length: number) => {
    const expected = rowShape(name, length);
    return openOfRun(path, descr, (shape) => String(shape) === String(expected), tuple(expected), run);
  };
  /** The part that was read last: rows are mostly asked for in their order. */
  let last: { from: number; to: number; file: ArrayFile } | null = null;
  const close = () => {
    if (last) closeSync(last.file.fd);
    last = null;
  };
  const partOf = (row: number) => {
    if (last && row >= last.from && row < last.to) return last;
    close();
    const { from, to, file } = files.find((part) => row >= part.from && row < part.to)!;
    return (last = { from, to, file: open(join(run, file), to - from) });
  };
  // Says at once what is wrong with a file.
  if (rows) partOf(0);
  return {
    close,
    read(start, count) {
      const size = parseDtype(descr).size * (rowShape(name, 1)[1] ?? 1);
      const bytes = new Uint8Array(count * size);
      for (let done = 0; done < count; ) {
        const { from, to, file } = partOf(start + done);
        const most = Math.min(count - done, to - start - done);
        const at = file.offset + (start + done - from) * size;
        readFully(file, bytes.subarray(done * size, (done + most) * size), at);
        done += most;
      }
      return decode(bytes, parseDtype(descr));
    },
  };
}

/** A whole column of a run; of parts each has to have the hash that the index has. */
export function readRows(run: string, name: string, descr: string, rows: number): NumericArray {
  const files = filesOf(run, name, rows);
  const reader = openRows(run, name, descr, rows, files);
  try {
    for (const { file, hash } of files)
      if (hash !== undefined && sha256Of(join(run, file), run) !== hash)
        throw runFiles(run).damaged(file, 'its SHA-256 is not the one that the index has');
    return reader.read(0, rows);
  } finally {
    reader.close();
  }
}

/** The index of the parts of a run. UserError unless they have all of these rows, one after the other. */
function readPartsIndex(run: string, rows: number): PartsIndex {
  const files = runFiles(run, recordedHashes(run));
  const index = checked(files, PARTS_INDEX, partsIndex);
  let at = 0;
  for (const { from, to } of index.parts) at = from === at && to > from ? to : Number.NaN;
  if (at !== rows || index.rows !== rows)
    throw files.damaged(PARTS_INDEX, `its parts are not those of ${rows} rows`);
  return index;
}

/** Has the run labels, in a file or in parts? */
export const hasLabels = (run: string): boolean =>
  [LABELS, PARTS_INDEX].some((name) => existsSync(join(run, name)));

/** The responsibilities of a run, row-major. UserError unless there is a row for each of these, with at least `k` columns. */
export function readRunResponsibilities(path: string, rows: number, k: number): Float32Array {
  const fits = ({ length, 0: n, 1: columns }: readonly number[]) =>
    length === 2 && n === rows && columns >= k;
  closeSync(openOfRun(path, '<f4', fits, `(${rows}, K) with K ≥ ${k}`).fd);
  return readNpy(path, { within: dirname(path) }).data as Float32Array;
}

const readOptional = <Name extends keyof OptionalColumns>(name: Name) => {
  const { file, dtype } = ROW_COLUMNS[name];
  const stem = stemOf(file) as StemOf<{ file: typeof file }>;
  return (run: string, rows: number): RowValues[Name] => {
    const isThere =
      existsSync(join(run, file)) ||
      (existsSync(join(run, PARTS_INDEX)) && readPartsIndex(run, rows).parts[0]?.[stem]);
    return (isThere ? readRows(run, file, dtype, rows) : null) as RowValues[Name];
  };
};

/** Where rows are on the map, two numbers each. UserError unless it has all of these rows. */
export const readRunMap = (run: string, rows: number) =>
  readRows(run, ROW_COLUMNS.map.file, ROW_COLUMNS.map.dtype, rows) as Float32Array;

/** The log densities of rows; null by the graph likelihood. UserError as of `readRunMap`. */
export const readRunDensities = readOptional('log_density');

/** The components of rows; null of a run that was not asked for them. UserError as of `readRunMap`. */
export const readRunComponents = readOptional('component');

/** All labels of a run. UserError unless there is one for each of these rows. */
export const readRunLabels = (run: string, rows: number): Int32Array =>
  readRows(run, LABELS, '<i4', rows) as Int32Array;
