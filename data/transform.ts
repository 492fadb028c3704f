import { product } from '../model/nets/net.ts';
import { type ModelSteps, type RowSteps, rowStepsOf, type StepValue } from '../model/steps.ts';
import { fillCells } from './fill.ts';
import { moveOutliers, type OutlierBounds } from './outlier-bounds.ts';

/** The input transform: from a raw row to the input of the nets and that of the mixture. How it is planned, transform-plan.ts knows; nothing here of clusters, or of where rows come from. */

/**
 * The input transform, in two steps (docs/algorithm.md, section 3). A raw row, first moved by `before` if there is one, and
 * scaled to unit length if `normalize`, becomes y = row·weights + bias in float32, with mean 0 and variance 1 (if there is
 * `before`, 1 is the mean of the variances): the input of the networks. The input of the mixture is x = y·scale: the row after
 * --transform minus its mean `offset`, as the mixture is invariant to shifts.
 */
export interface Transform extends RowSteps {
  /** Applied to raw rows before they are scaled to unit length: only with `normalize`. Null: they are scaled as they are. */
  readonly before: ColumnMap | null;
  readonly normalize: boolean;
  /** The number of columns of a raw row. */
  readonly input: number;
  /** D. */
  readonly dim: number;
  /** Where each y depends on one column only: these columns, with factors `weights` [dim]. Else null, and `weights` is [input,dim]. */
  readonly columns: Int32Array | null;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly scale: Float64Array;
  readonly offset: Float64Array;
  /** Limits on raw rows, before anything else is done to them; null: there are none. */
  readonly fences: OutlierBounds | null;
}

/** One exact value of each of some columns. */
export type Atoms = StepValue<'atoms'>;

/** x_d·factor_d + shift_d for each column d of a raw row: [input] each. */
export type ColumnMap = StepValue<'before'>;

/** The result of the moments round, for rows scaled to unit length if the transform normalizes them. */
export interface Moments {
  readonly rows: number;
  readonly mean: Float64Array;
  /** D×D, or only its diagonal (D). */
  readonly covariance: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** Scales each row of `dim` numbers to unit L2 length, in place; a row of zeros does not change. */
export function normalizeRows(rows: Float32Array, dim: number): void {
  for (let o = 0; o < rows.length; o += dim) {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += rows[o + d] * rows[o + d];
    if (sum > 0) for (let d = 0, by = 1 / Math.sqrt(sum); d < dim; d++) rows[o + d] *= by;
  }
}

/**
 * Moves raw rows and scales them to unit length, in place, as far as the transform does so: what precedes its weights. Each
 * number is rounded after the product and after the sum, as by `applyColumns`.
 */
export function unitRows(
  { before, normalize, input }: Pick<Transform, 'before' | 'normalize' | 'input'>,
  raw: Float32Array,
): void {
  if (before) mapColumns(before, raw);
  if (normalize) normalizeRows(raw, input);
}

/** Applies a column map to rows, in place. */
export function mapColumns({ factor, shift }: ColumnMap, rows: Float32Array): void {
  const dim = factor.length;
  for (let o = 0; o < rows.length; )
    for (let d = 0; d < dim; d++, o++) rows[o] = Math.fround(rows[o] * factor[d]) + shift[d];
}

/**
 * y of raw rows where each y depends on one column. Rounded after the product and after the sum, like a Dense layer with a
 * diagonal kernel, so that the exported model gives the same bits.
 */
export function applyColumns(transform: Transform, raw: Float32Array): Float32Array {
  const { input, dim, weights, bias, atoms } = transform;
  const columns = transform.columns!;
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

/** y of rows after `unitRows`; summed like the `cpu` backend. */
export function networkRows(transform: Transform, raw: Float32Array): Float32Array {
  const { columns, input, dim, weights, bias } = transform;
  if (columns) return applyColumns(transform, raw);
  const n = raw.length / input;
  const out = new Float32Array(n * dim);
  product(raw, n, input, weights, dim, bias, false, out);
  return out;
}

/** x = y·scale, n×D. */
export function modelRows(transform: Transform, y: Float32Array): Float32Array {
  const { dim, scale } = transform;
  const out = new Float32Array(y.length);
  for (let o = 0; o < y.length; ) for (let d = 0; d < dim; d++, o++) out[o] = y[o] * scale[d];
  return out;
}

/** y of raw rows: outliers are moved to where bounds move them, and unknown cells filled. */
export function fromRaw(transform: Transform, raw: Float32Array): Float32Array {
  const { fences, fill, input } = transform;
  const rows = raw.slice();
  if (fences) moveOutliers(rows, input, fences);
  if (fill) fillCells(fill, rows, input);
  unitRows(transform, rows);
  return networkRows(transform, rows);
}

/** Of each row y the share of its squared length that the axes miss; 0 where rows are not scaled to unit length. */
export function missedLength({ normalize, columns, dim, bias, scale }: Transform, y: Float32Array) {
  const missed = new Float64Array(y.length / dim);
  if (!normalize || columns) return missed;
  return missed.map((_, row) => {
    let seen = 0;
    for (let a = 0; a < dim; a++) seen += ((y[row * dim + a] - bias[a]) * scale[a]) ** 2;
    return 1 - seen;
  });
}

/** The steps of a transform. */
export function stepsOf(transform: Transform): ModelSteps {
  const { normalize, columns, weights, bias, scale, offset } = transform;
  return {
    ...Object.fromEntries(rowStepsOf(transform)),
    ...(normalize && { unit: {} }),
    ...(columns ? { scale: { columns, factor: weights, shift: bias } } : { project: { weights, bias } }),
    coordinates: { scale, offset },
  };
}

/** The reverse, for a model that has all of its steps. */
export function transformOf(model: ModelSteps): Transform {
  const { encode, moments, unit, scale, project, coordinates } = model;
  return {
    ...{ before: null, fences: null },
    ...Object.fromEntries(rowStepsOf(model)),
    normalize: unit !== undefined,
    input: encode ? encode.widths.at(-1)! : moments!.mean.length,
    dim: coordinates!.scale.length,
    columns: scale?.columns ?? null,
    weights: scale?.factor ?? project!.weights,
    bias: scale?.shift ?? project!.bias,
    ...coordinates!,
  };
}
