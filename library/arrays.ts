import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../base/user-error.ts';
import { type Labels, readLabels } from '../data/labels.ts';
import { writeNpy } from '../data/npy.ts';
import type { Source } from '../data/source.ts';
import type { Data, LabelData, Rows } from './options.ts';

/** Arrays of the caller's memory in the places of files. */

/** The files that `withFiles` makes. */
const TEMPORARY = /[\\/]dpmesh-\w{6}[\\/](data|labels)\.npy$/;

/** UserError where these are no rows. */
function checkRows(rows: Rows): void {
  const { values, columns } = rows ?? {};
  if (!(values instanceof Float32Array || values instanceof Float64Array))
    throw new UserError('data must be a path, or { values, columns } with a Float32Array or Float64Array');
  if (!(Number.isInteger(columns) && columns >= 1))
    throw new UserError(`data: columns ${columns} must be a whole number, at least 1`);
  if (!values.length || values.length % columns)
    throw new UserError(
      `data: ${values.length} values are ${values.length ? 'not a whole number of' : 'no'} rows of ${columns} columns`,
    );
}

/** Rows in memory as a source. */
export function sourceOf(rows: Rows): Source {
  checkRows(rows);
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

/** Labels in memory as whole numbers. UserError for one that is none. */
function codesOf(labels: ArrayLike<number>, name: string): Int32Array {
  const codes = Int32Array.from(labels);
  for (let i = 0; i < codes.length; i++)
    if (codes[i] !== Number(labels[i]) || typeof labels[i] !== 'number')
      throw new UserError(`${name}: label ${i}, ${String(labels[i])}, is no whole number of 32 bits`);
  return codes;
}

/** Labels from a file or from memory. UserError for what is none. */
export async function labelsOf(data: LabelData, option: string): Promise<Labels> {
  if (typeof data === 'string') return readLabels(data);
  const values = codesOf(data, option);
  if (!values.length) throw new UserError(`${option} has no labels`);
  const ranks = new Map([...new Set(values)].sort((a, b) => a - b).map((value, rank) => [value, rank]));
  return { codes: values.map((value) => ranks.get(value)!), names: [...ranks.keys()].map(String) };
}

/** UserError where a run had this input in memory, and nobody gives it again. */
export function assertNotInMemory(path: string | null, name: 'data' | 'labels', run: string): void {
  if (path !== null && TEMPORARY.test(path) && !existsSync(path))
    throw new UserError(
      `${run} was started with ${name} in a program's memory: resume it from a program that passes the same ${name} again`,
    );
}

export interface Inputs {
  data: string;
  labels: string | null | undefined;
  /** A text as its reader understands it: temporary files are called `data` and `labels`. */
  withNames(text: string): string;
}

/** Runs `work` with paths: arrays are written to temporary files first, which are removed when it ends. */
export async function withFiles<T>(
  { data, labels }: { data: Data; labels?: LabelData | null },
  work: (inputs: Inputs) => Promise<T>,
): Promise<T> {
  if (typeof data === 'string' && typeof (labels ?? '') === 'string')
    return work({ data, labels: labels as string | null | undefined, withNames: (text) => text });
  const folder = mkdtempSync(join(tmpdir(), 'dpmesh-'));
  const [dataFile, labelsFile] = [join(folder, 'data.npy'), join(folder, 'labels.npy')];
  const withNames = (text: string) => text.replaceAll(dataFile, 'data').replaceAll(labelsFile, 'labels');
  try {
    if (typeof data !== 'string') {
      checkRows(data);
      const { values, columns } = data;
      const dtype = values instanceof Float32Array ? '<f4' : '<f8';
      writeNpy(dataFile, dtype, [values.length / columns, columns], values);
    }
    if (labels && typeof labels !== 'string')
      writeNpy(labelsFile, '<i4', [labels.length], codesOf(labels, 'labels'));
    return await work({
      data: typeof data === 'string' ? data : dataFile,
      labels: labels && typeof labels !== 'string' ? labelsFile : labels,
      withNames,
    });
  } catch (error) {
    throw error instanceof UserError ? new UserError(withNames(error.message)) : error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
