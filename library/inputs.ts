import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempted } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import type { Labels } from '../data/label-spec.ts';
import { writeNpy } from '../data/npy.ts';
import type { Source } from '../data/source.ts';
import { readLabels } from '../run/labels.ts';
import { fixedPaths } from './arguments.ts';

/** Data and labels, in files or in the caller's memory, for code that reads files. */

/** A matrix in memory, row-major, of `values.length / columns` rows. */
export interface Rows {
  /** All values, row after row. Computation is in float32. The array is not modified. */
  values: Float32Array | Float64Array;
  /** Number of columns: a whole number, at least 1, that divides `values.length`. */
  columns: number;
}

/**
 * Rows: the path of an .npy, .npz, .safetensors, .h5ad, IDX (also .gz) or table, or of a folder of PNG and JPEG images, or rows in
 * memory. NaN and infinite values are rejected.
 */
export type Data = string | Rows;

/**
 * One label per row: the path of a 1-D .npy or IDX file, `FILE.csv:COLUMN` (a name, or a number counted from 1), `FILE.npz:ARRAY`, `FILE.h5ad:COLUMN`, a folder of
 * images (the names of the sub-folders that they lie in), or 32-bit integers in memory.
 */
export type LabelData = string | ArrayLike<number>;

/** The files that `withFiles` makes. */
const TEMPORARY = /[\\/]dpmesh-\w{6}[\\/](data|labels)\.npy$/;

/** Throws a UserError if `rows` is not a valid matrix. */
function assertRows(rows: Rows): void {
  const { values, columns } = rows ?? {};
  if (!(values instanceof Float32Array || values instanceof Float64Array))
    throw new UserError('data must be a path, or { values, columns } with a Float32Array or Float64Array');
  if (!(Number.isInteger(columns) && columns >= 1))
    throw new UserError(`data: columns ${columns} must be a whole number, at least 1`);
  if (!values.length || values.length % columns)
    throw new UserError(
      values.length
        ? `data: ${values.length} values are not a whole number of rows of ${columns} columns`
        : 'data has no rows',
    );
}

/** Rows in memory as a `Source`. UserError if they are not a valid matrix. */
export function sourceOf(rows: Rows): Source {
  assertRows(rows);
  const { values, columns: dim } = rows;
  return {
    rows: values.length / dim,
    dim,
    dtype: values instanceof Float32Array ? 'float32' : 'float64',
    // A copy: transforms change rows in place.
    read: async (start, count) => Float32Array.from(values.subarray(start * dim, (start + count) * dim)),
    stored: async (row) => Float64Array.from(values.subarray(row * dim, (row + 1) * dim)),
    close() {},
  };
}

/** Labels in memory as int32. UserError for a label that is not a 32-bit integer. */
function int32Labels(labels: ArrayLike<number>, name: string): Int32Array {
  const values = Int32Array.from(labels);
  for (let i = 0; i < values.length; i++)
    if (values[i] !== Number(labels[i]) || typeof labels[i] !== 'number')
      throw new UserError(`${name}: label ${i}, ${String(labels[i])}, is not a 32-bit whole number`);
  return values;
}

/**
 * Labels from a file or from memory, coded by rank. UserError if they are invalid or there are none. `option`: its name,
 * for messages.
 */
export async function labelsOf(data: LabelData, option: string): Promise<Labels> {
  if (typeof data === 'string') return readLabels(data);
  const values = int32Labels(data, option);
  if (!values.length) throw new UserError(`${option} has no labels`);
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return { codes: values.map((value) => ranks.get(value)!), names: [...ranks.keys()].map(String) };
}

/** Throws a UserError if the run had such an input in memory, and it is given as its temporary file, now removed. */
export function assertNotInMemory(inputs: { data: Data; labels: LabelData | null }, run: string): void {
  for (const [name, path] of Object.entries(inputs))
    if (typeof path === 'string' && TEMPORARY.test(path) && !existsSync(path))
      throw new UserError(
        `${run} was started with ${name} in a program's memory: resume it from a program that passes the same ${name} again`,
      );
}

/** Absolute paths of the inputs of a run. */
export interface InputPaths {
  data: string;
  labels: string | null | undefined;
  /** Some of them were arrays. */
  inMemory: boolean;
  /** Replaces the paths of temporary files in a message by `data` and `labels`, others by what the caller gave. */
  withNames(text: string): string;
}

const isPath = (value: unknown): value is string | null | undefined =>
  typeof value === 'string' || value == null;

/**
 * Calls `work` with paths of the data and labels. Arrays are written to temporary files, which are removed when it
 * settles. `paths`: in which those of the inputs, and what else `work` may name in an error, are fixed.
 */
export function withFiles<T>(
  inputs: { data: Data; labels?: LabelData | null },
  work: (inputs: InputPaths) => Promise<T>,
  { asGiven, fixInput, naming } = fixedPaths(),
): Promise<T> {
  const [data, labels] = [fixInput(inputs.data), fixInput(inputs.labels)];
  return naming(async () => {
    if (typeof data === 'string' && isPath(labels))
      return work({ data, labels, inMemory: false, withNames: asGiven });
    const { path, remove } = temporaryFolder();
    const [dataFile, labelsFile] = [join(path, 'data.npy'), join(path, 'labels.npy')];
    const withNames = (text: string) =>
      asGiven(text.replaceAll(dataFile, 'data').replaceAll(labelsFile, 'labels'));
    try {
      if (typeof data !== 'string') {
        assertRows(data);
        const { values, columns } = data;
        const dtype = values instanceof Float32Array ? '<f4' : '<f8';
        writeNpy(dataFile, dtype, [values.length / columns, columns], values);
      }
      if (!isPath(labels)) writeNpy(labelsFile, '<i4', [labels.length], int32Labels(labels, 'labels'));
      return await work({
        data: typeof data === 'string' ? data : dataFile,
        labels: isPath(labels) ? labels : labelsFile,
        inMemory: true,
        withNames,
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(withNames(error.message), { exitCode: error.exitCode });
    } finally {
      remove();
    }
  });
}

/** A folder that is removed by `remove`, or else when the process exits. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = attempted(tmpdir(), 'written', () => mkdtempSync(join(tmpdir(), 'dpmesh-')));
  const clear = () => rmSync(path, { recursive: true, force: true });
  process.once('exit', clear);
  return {
    path,
    remove() {
      process.off('exit', clear);
      clear();
    },
  };
}
