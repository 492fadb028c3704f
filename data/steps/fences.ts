import type { StepValue } from '../../model/steps.ts';
import type { Operators, Value } from './operators.ts';

/**
 * Limits on some columns of the raw rows: a row beyond one of them is an outlier, and is not trained on
 * (docs/algorithm.md, section 3). `columns`: those that have limits; `low`, `high`: the least and the largest number there of a row that
 * is no outlier; `least`, `most`: those that rows of the training sample have, where outliers are moved to.
 */
export type OutlierBounds = StepValue<'fences'>;

/** The limits of one column, in JSON files of a run. */
export interface SavedBound {
  column: number;
  low: number;
  high: number;
  least: number;
  most: number;
}

/** float32 numbers and JSON: each is read back as it was. */
export function savedBounds({ columns, low, high, least, most }: OutlierBounds): SavedBound[] {
  return Array.from(columns, (column, c) => ({
    column,
    low: low[c],
    high: high[c],
    least: least[c],
    most: most[c],
  }));
}

/** The reverse; null if there are none. */
export function boundsFrom(saved: SavedBound[]): OutlierBounds | null {
  if (!saved.length) return null;
  const limit = (name: keyof SavedBound) => Float32Array.from(saved, (fence) => fence[name]);
  return {
    columns: Int32Array.from(saved, ({ column }) => column),
    low: limit('low'),
    high: limit('high'),
    least: limit('least'),
    most: limit('most'),
  };
}

/** Whether each raw row of `dim` numbers is an outlier, 1 or 0. */
export function outliersIn(
  raw: Float32Array,
  dim: number,
  { columns, low, high }: Pick<OutlierBounds, 'columns' | 'low' | 'high'>,
): Uint8Array {
  const flags = new Uint8Array(raw.length / dim);
  for (let i = 0, o = 0; i < flags.length; i++, o += dim)
    for (let c = 0; c < columns.length; c++) {
      const value = raw[o + columns[c]];
      if (value < low[c] || value > high[c]) flags[i] = 1;
    }
  return flags;
}

/** The raw rows that are no outliers. */
export function withoutOutliers(raw: Float32Array, dim: number, fences: OutlierBounds): Float32Array {
  const flags = outliersIn(raw, dim, fences);
  return raw.filter((_, p) => !flags[Math.floor(p / dim)]);
}

/**
 * Moves the outliers, in place, to the edge of the training sample along the columns with limits: where it has not learned,
 * a net says anything. Returns which rows they are, 1 or 0.
 */
export function moveOutliers(raw: Float32Array, dim: number, fences: OutlierBounds): Uint8Array {
  const { columns, least, most } = fences;
  const flags = outliersIn(raw, dim, fences);
  for (let i = 0; i < flags.length; i++) {
    if (!flags[i]) continue;
    for (let c = 0; c < columns.length; c++) {
      const at = i * dim + columns[c];
      raw[at] = Math.min(Math.max(raw[at], least[c]), most[c]);
    }
  }
  return flags;
}

/** `moveOutliers` as operators: the rows, and which are outliers [rows]. */
export function moveOutliersInOnnx(g: Operators, rows: Value, dim: number, fences: OutlierBounds) {
  const limit = (name: 'low' | 'high' | 'least' | 'most', none: number) => {
    const values = new Float32Array(dim).fill(none);
    for (const [c, column] of fences.columns.entries()) values[column] = fences[name][c];
    return g.floats(values);
  };
  const beyond = g.op('Or', [
    g.op('Less', [rows, limit('low', -Infinity)]),
    g.op('Greater', [rows, limit('high', Infinity)]),
  ]);
  const any = g.op('ReduceMax', [g.cast(beyond, 'float32')], { axes: [1], keepdims: 1 });
  const isOutlier = g.cast(any, 'bool');
  const inside = g.op('Min', [g.op('Max', [rows, limit('least', -Infinity)]), limit('most', Infinity)]);
  return {
    moved: g.op('Where', [isOutlier, inside, rows]),
    isOutlier: g.op('Squeeze', [isOutlier, g.integers([1])]),
  };
}

/** The number of ones. */
export const countFlags = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0);
