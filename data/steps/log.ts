import type { Operators, Value } from './operators.ts';

/** Columns of positive numbers are replaced by their logarithms. */

/** Puts logarithms in the place of these columns. Ends at the first value that is not positive, and returns where it is; else null. */
export function takeLogarithms(
  values: Float32Array | Float64Array,
  dim: number,
  columns: readonly number[],
): number | null {
  for (let o = 0; o < values.length; o += dim)
    for (const column of columns) {
      const value = values[o + column];
      if (value <= 0) return o + column;
      values[o + column] = Math.log(value);
    }
  return null;
}

/** The same as operators, for rows of `dim` numbers: NaN where there is no logarithm. */
export function logInOnnx(g: Operators, rows: Value, dim: number, columns: readonly number[]): Value {
  if (!columns.length) return rows;
  const mask = g.flags(Array.from({ length: dim }, (_, column) => columns.includes(column)));
  // The logarithm of 0 is NaN, too.
  const positive = g.op('Where', [g.op('Greater', [rows, g.float(0)]), rows, g.float(-1)]);
  return g.op('Where', [mask, g.op('Log', [positive]), rows]);
}
