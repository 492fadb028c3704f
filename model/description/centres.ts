/** The centres of clusters, and distances of rows from them. */
import { cholesky, invertLower } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import type { Covariance } from '../statistics.ts';

/**
 * Of each cluster its mean μ and the root R of its precision, Σ⁻¹ = RᵀR, in float32: [K,W], a cluster a row. R is lower triangular, row
 * by row; of a diagonal covariance it is the diagonal.
 */
export interface Centres {
  readonly k: number;
  readonly d: number;
  readonly covariance: Covariance;
  readonly values: Float32Array;
}

const MAX_FLOAT32 = 2 ** 128 - 2 ** 104;

/** W, the numbers of a cluster. */
export const centreWidth = (d: number, covariance: Covariance): number =>
  d + (covariance === 'full' ? (d * (d + 1)) / 2 : d);

/** Along a direction in which a cluster has no extent, distances are not measured. */
export function centresOf({ k, d, covariance, means, covariances }: Mixture): Centres {
  const width = centreWidth(d, covariance);
  const values = new Float32Array(k * width);
  for (const [c, mean] of means.entries()) {
    const root = precisionRoot(covariances[c], d, covariance);
    for (const [i, value] of [...mean, ...root].entries())
      values[c * width + i] = Math.max(-MAX_FLOAT32, Math.min(MAX_FLOAT32, value));
  }
  return { k, d, covariance, values };
}

function precisionRoot(covariance: Float64Array, d: number, kind: Covariance): Float64Array {
  const inverse = (variance: number) => (variance > 0 ? 1 / Math.sqrt(variance) : 0);
  if (kind === 'diag') return covariance.map(inverse);
  const factor = cholesky(covariance, d);
  const full = factor && invertLower(factor, d);
  const root = new Float64Array((d * (d + 1)) / 2);
  for (let i = 0, p = 0; i < d; i++)
    for (let j = 0; j <= i; j++, p++)
      root[p] = full ? full[i * d + j] : i === j ? inverse(covariance[i * d + i]) : 0;
  return root;
}

/** The Mahalanobis distance ‖R(x − μ)‖ of the row x that starts at `at` from the centre of a cluster. */
export function distanceFrom(
  { d, covariance, values }: Centres,
  cluster: number,
  rows: ArrayLike<number>,
  at = 0,
): number {
  const mean = cluster * centreWidth(d, covariance);
  let p = mean + d;
  let sum = 0;
  for (let i = 0; i < d; i++) {
    let u = 0;
    if (covariance === 'full')
      for (let j = 0; j <= i; j++) u += values[p++] * (rows[at + j] - values[mean + j]);
    else u = values[p++] * (rows[at + i] - values[mean + i]);
    sum += u * u;
  }
  return Math.min(Math.sqrt(sum), MAX_FLOAT32);
}

/** The distance of each row from the centre of the cluster that it is labelled with. */
export function distancesFrom(centres: Centres, rows: Float32Array, labels: ArrayLike<number>): Float32Array {
  const { d } = centres;
  const out = new Float32Array(labels.length);
  for (let i = 0; i < out.length; i++) out[i] = distanceFrom(centres, labels[i], rows, i * d);
  return out;
}

/** The centres in another order. */
export function reorderedCentres(centres: Centres, order: readonly number[]): Centres {
  const width = centreWidth(centres.d, centres.covariance);
  const values = new Float32Array(order.length * width);
  for (const [c, old] of order.entries())
    values.set(centres.values.subarray(old * width, (old + 1) * width), c * width);
  return { ...centres, k: order.length, values };
}
