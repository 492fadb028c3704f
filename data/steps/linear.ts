import { product } from '../../model/nets/net.ts';
import type { StepValue } from '../../model/steps.ts';
import type { Operators, Value } from './operators.ts';

/** Columns are moved and scaled, or rows projected: all linear maps of rows. */

/** x_d·factor_d + shift_d for each column d of a raw row: [input] each. */
export type ColumnMap = StepValue<'before'>;

/** Applies a column map to rows, in place. Each number is rounded after the product and after the sum. */
export function mapColumns({ factor, shift }: ColumnMap, rows: Float32Array): void {
  const dim = factor.length;
  for (let o = 0; o < rows.length; )
    for (let d = 0; d < dim; d++, o++) rows[o] = Math.fround(rows[o] * factor[d]) + shift[d];
}

/** `mapColumns` as operators. */
export const mapInOnnx = (g: Operators, rows: Value, { factor, shift }: ColumnMap): Value =>
  g.op('Add', [g.op('Mul', [rows, g.floats(factor)]), g.floats(shift)]);

/** One exact value of each of some columns. */
export type Atoms = StepValue<'atoms'>;

/** The map from rows of `input` numbers to those of `dim`. */
export interface LinearMap {
  readonly input: number;
  readonly dim: number;
  /** Where each y depends on one column only: these columns, with factors `weights` [dim]. Else null, and `weights` is [input,dim]. */
  readonly columns: Int32Array | null;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  /** Columns from `input` on say whether a column has another value than this one. */
  readonly atoms?: Atoms | null;
}

/**
 * y of raw rows where each y depends on one column. Rounded after the product and after the sum, like a Dense layer with a
 * diagonal kernel, so that the exported model gives the same bits.
 */
export function scaledColumns(
  { input, dim, weights, bias, atoms }: LinearMap,
  columns: Int32Array,
  raw: Float32Array,
): Float32Array {
  const n = raw.length / input;
  const out = new Float32Array(n * dim);
  const round = Math.fround;
  if (atoms)
    for (let i = 0, o = 0; i < n; i++)
      for (let d = 0; d < dim; d++, o++) {
        const a = columns[d] - input;
        const value =
          a < 0 ? raw[i * input + columns[d]] : Number(raw[i * input + atoms.columns[a]] !== atoms.values[a]);
        out[o] = round(value * weights[d]) + bias[d];
      }
  else
    for (let i = 0, o = 0; i < n; i++)
      for (let d = 0; d < dim; d++, o++) out[o] = round(raw[i * input + columns[d]] * weights[d]) + bias[d];
  return out;
}

/** y of rows, n×dim; sums as those of the `cpu` backend. */
export function linearRows(map: LinearMap, raw: Float32Array): Float32Array {
  const { columns, input, dim, weights, bias } = map;
  if (columns) return scaledColumns(map, columns, raw);
  const n = raw.length / input;
  const out = new Float32Array(n * dim);
  product(raw, n, input, weights, dim, bias, false, out);
  return out;
}

/** `linearRows` as operators. */
export function linearInOnnx(
  g: Operators,
  rows: Value,
  { input, dim, columns, weights, bias, atoms }: LinearMap,
): Value {
  if (!columns) return g.op('Gemm', [rows, g.floats(weights, [input, dim]), g.floats(bias)]);
  let all = rows;
  if (atoms) {
    const values = g.op('Gather', [rows, g.integers([...atoms.columns])], { axis: 1 });
    const isOther = g.op('Not', [g.op('Equal', [values, g.floats(atoms.values)])]);
    all = g.op('Concat', [rows, g.cast(isOther, 'float32')], { axis: 1 });
  }
  const kept = g.op('Gather', [all, g.integers([...columns])], { axis: 1 });
  return mapInOnnx(g, kept, { factor: weights, shift: bias });
}
