import type { Rng } from '../model/random.ts';
import { type ModelSteps, type RowSteps, rowStepsOf } from '../model/steps.ts';
import { moveOutliers, moveOutliersInOnnx, type OutlierBounds } from './steps/fences.ts';
import { fillCells } from './steps/fill.ts';
import {
  type ColumnMap,
  type LinearMap,
  linearInOnnx,
  linearRows,
  mapColumns,
  mapInOnnx,
} from './steps/linear.ts';
import type { Operators, Value } from './steps/operators.ts';
import { normalizeInOnnx, normalizeRows } from './steps/unit.ts';

/** The input transform: from a raw row to the input of the nets and that of the mixture. How it is planned, transform-plan.ts knows; nothing here of clusters, or of where rows come from. */

/**
 * The input transform, in two steps (docs/algorithm.md, section 3). A raw row, first moved by `before` if there is one, and
 * scaled to unit length if `normalize`, becomes y = row·weights + bias in float32, with mean 0 and variance 1 (if there is
 * `before`, 1 is the mean of the variances): the input of the networks. The input of the mixture is x = y·scale: the row after
 * --transform minus its mean `offset`, as the mixture is invariant to shifts.
 */
export interface Transform extends LinearMap, Omit<RowSteps, 'atoms'> {
  /** Applied to raw rows before they are scaled to unit length: only with `normalize`. Null: they are scaled as they are. */
  readonly before: ColumnMap | null;
  readonly normalize: boolean;
  readonly scale: Float64Array;
  readonly offset: Float64Array;
  /** Limits on raw rows, before anything else is done to them; null: there are none. */
  readonly fences: OutlierBounds | null;
}

/** The result of the moments round, for rows scaled to unit length if the transform normalizes them. */
export interface Moments {
  readonly rows: number;
  readonly mean: Float64Array;
  /** D×D, or only its diagonal (D). */
  readonly covariance: Float64Array;
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/**
 * The steps before the linear map, in place. Returns which rows are outliers, 1 or 0; null without limits. `rng`, in training only: rows are spread over
 * the cells of the grid that their values are on.
 */
export function applyRowSteps(
  { fences, fill, grid, before, normalize, input }: Omit<Transform, keyof LinearMap> & { input: number },
  rows: Float32Array,
  rng?: Rng,
): Uint8Array | null {
  const outliers = fences && moveOutliers(rows, input, fences);
  if (fill) fillCells(fill, rows, input);
  if (grid && rng)
    for (let o = 0; o < rows.length; o++) {
      const step = grid.size[o % input];
      if (step > 0) rows[o] += step * (rng.uniform() - 0.5);
    }
  if (before) mapColumns(before, rows);
  if (normalize) normalizeRows(rows, input);
  return outliers;
}

/** y of raw rows. */
export function fromRaw(transform: Transform, raw: Float32Array): Float32Array {
  const rows = raw.slice();
  applyRowSteps(transform, rows);
  return linearRows(transform, rows);
}

/** `fromRaw` as operators: y, and which rows are outliers; null without limits. Without `fill`, for which ONNX has none. */
export function transformInOnnx(g: Operators, raw: Value, transform: Transform) {
  const { fences, before, normalize, input } = transform;
  const fenced = fences ? moveOutliersInOnnx(g, raw, input, fences) : { moved: raw, isOutlier: null };
  const mapped = before ? mapInOnnx(g, fenced.moved, before) : fenced.moved;
  const rows = normalize ? normalizeInOnnx(g, mapped) : mapped;
  return { y: linearInOnnx(g, rows, transform), isOutlier: fenced.isOutlier };
}

/** x = y·scale, n×D. */
export function modelRows(transform: Transform, y: Float32Array): Float32Array {
  const { dim, scale } = transform;
  const out = new Float32Array(y.length);
  for (let o = 0; o < y.length; ) for (let d = 0; d < dim; d++, o++) out[o] = y[o] * scale[d];
  return out;
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
