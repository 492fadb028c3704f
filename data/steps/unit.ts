import type { Operators, Value } from './operators.ts';

/** Rows are scaled to unit length. */

/** Scales each row of `dim` numbers to unit L2 length, in place; a row of zeros does not change. */
export function normalizeRows(rows: Float32Array, dim: number): void {
  for (let o = 0; o < rows.length; o += dim) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += rows[o + d] * rows[o + d];
    if (sum > 0) for (let d = 0, by = 1 / Math.sqrt(sum); d < dim; d++) rows[o + d] *= by;
  }
}

/** `normalizeRows` as operators. */
export function normalizeInOnnx(g: Operators, rows: Value): Value {
  // Squares of large numbers are infinite in float32, those of shares of the largest are not.
  const largest = g.op('ReduceMax', [g.op('Abs', [rows])], { axes: [1], keepdims: 1 });
  const isZero = g.op('Equal', [largest, g.float(0)]);
  const unit = g.op('Div', [rows, g.op('Where', [isZero, g.float(1), largest])]);
  const length = g.op('ReduceL2', [unit], { axes: [1], keepdims: 1 });
  return g.op('Div', [unit, g.op('Where', [isZero, g.float(1), length])]);
}
