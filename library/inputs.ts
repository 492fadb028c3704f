import { UserError } from '../base/user-error.ts';
import type { Source } from '../data/source.ts';

/** Data and labels as a program passes them: in files, or in its memory. */

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

/** Throws a UserError if `rows` is not a valid matrix. */
export function assertRows(rows: Rows): void {
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
export function int32Labels(labels: ArrayLike<number>, name: string): Int32Array {
  const values = Int32Array.from(labels);
  for (let i = 0; i < values.length; i++)
    if (values[i] !== Number(labels[i]) || typeof labels[i] !== 'number')
      throw new UserError(`${name}: label ${i}, ${String(labels[i])}, is not a 32-bit whole number`);
  return values;
}
