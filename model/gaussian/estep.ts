/**
 * The E-step as matrix products (docs/algorithm.md, section 5). Rows are in network coordinates y = x/scale (per
 * dimension), mixtures in coordinates x. The log-density of a row under cluster k is log π_k + log N(x; μ_k, Σ_k) plus a
 * constant that is the same for all clusters and rows.
 */

import { cholesky, invertLower, NotPositiveDefiniteError } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';
import { type Covariance, statisticsLength } from '../statistics.ts';
import { asGaussian } from './columns.ts';
import { CLOSED } from './components.ts';

/** Lower bound on π_k in the product form, as log 0 = −∞ would turn float32 products into NaN. */
const MIN_WEIGHT = 1e-30;
/** Largest expected error in a log-density, in nats, for which the product form is used. */
const PRODUCT_TOLERANCE = 1e-3;
/**
 * Twice float32's unit roundoff, as rounding errors are correlated. Of 200,000 random mixtures one exceeded the resulting
 * estimate, by 2e-7 nats.
 */
const CONSERVATIVE_ROUNDOFF = 2 * 2 ** -24;

/** Θ, P×K row-major: φ(y)·Θ are the log-densities, with φ(y) = (1, y, vech(yyᵀ)), or (1, y, y²) when diag. */
export interface ProductForm {
  readonly form: 'product';
  readonly theta: Float32Array;
}

/**
 * With u = y·weights + bias, cluster k's log-density is constant_k − ½‖u_k‖², where u_k is the k-th group of D numbers in
 * u. `weights` is D×(K·D), of each cluster the upper triangle of D×D, `bias` K·D, `constant` K; a cluster of weight 0 has no row.
 */
export interface CholeskyForm {
  readonly form: 'cholesky';
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly constant: Float32Array;
}

type Form = ProductForm | CholeskyForm;
/** The same without its name. */
export type Densities = Omit<CholeskyForm, 'form'>;
export type EStepForm = Form['form'];

/**
 * The parameters of an E-step, in the given form; by default the product form if its estimated error is at most 1e-3 nats,
 * else the Cholesky form. Throws NotPositiveDefiniteError.
 */
export function eStepOf(mixture: Mixture, scale: Float64Array, form: 'product'): ProductForm;
export function eStepOf(mixture: Mixture, scale: Float64Array, form: 'cholesky'): CholeskyForm;
export function eStepOf(mixture: Mixture, scale: Float64Array, form?: EStepForm): Form;
export function eStepOf(mixture: Mixture, scale: Float64Array, form?: EStepForm): Form {
  const clusters = whiten(mixture, scale);
  if (form === 'cholesky') return choleskyForm(clusters, mixture.weights);
  const columns = clusters.map(densityColumn);
  const isGood = (cluster: Whitened, k: number) => columnError(cluster, columns[k]) <= PRODUCT_TOLERANCE;
  const useProduct = form === 'product' || clusters.every(isGood);
  return useProduct
    ? { form: 'product', theta: interleave(columns) }
    : choleskyForm(clusters, mixture.weights);
}

/**
 * The factor by which rounding in float32 sums is amplified in a cluster's smallest variance: max_d (Σ_dd + μ_d²)·tr Σ⁻¹
 * in coordinates y, for the worst cluster (docs/algorithm.md, section 5). Infinity where a covariance matrix is not
 * positive definite.
 */
export function roundingAmplification(
  { d, covariance, means, covariances }: Mixture,
  scale: Float64Array,
): number {
  let worst = 0;
  for (const [k, mean] of means.entries()) {
    const sigma = scaledCovariance(covariances[k], scale, covariance);
    const root = inverseRoot(sigma, d, covariance);
    if (!root) return Infinity;
    let moment = 0;
    for (let i = 0; i < d; i++) moment = Math.max(moment, sigma[i * d + i] + (mean[i] / scale[i]) ** 2);
    const precision = root.reduce((sum, value) => sum + value * value, 0);
    worst = Math.max(worst, moment * precision);
  }
  return worst;
}

/** A cluster in coordinates y: its log-density is `constant` − ½‖R·y + b‖², with Σ⁻¹ = RᵀR and b = −R·μ. */
interface Whitened {
  d: number;
  covariance: Covariance;
  mean: Float64Array;
  /** Σ, D×D even for a diagonal covariance. */
  sigma: Float64Array;
  /** R, D×D, lower triangular. */
  root: Float64Array;
  /** b. */
  bias: Float64Array;
  constant: number;
}

function whiten(mixture: Mixture, scale: Float64Array): Whitened[] {
  const { k: K, d, covariance, weights, means, covariances, kinds } = mixture;
  const clusters: Whitened[] = [];
  for (let k = 0; k < K; k++) {
    const moments = { mean: means[k], covariance: covariances[k] };
    const own = asGaussian(kinds, moments, covariance);
    const mean = new Float64Array(d);
    for (let i = 0; i < d; i++) mean[i] = own.mean[i] / scale[i];
    const sigma = scaledCovariance(own.covariance, scale, covariance);
    const root = inverseRoot(sigma, d, covariance);
    if (!root)
      throw new NotPositiveDefiniteError(`the covariance matrix of cluster ${k} is not positive definite`);
    const bias = new Float64Array(d);
    let constant = Math.log(Math.max(weights[k], MIN_WEIGHT)) + own.constant;
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) bias[i] -= root[i * d + j] * mean[j];
      constant += Math.log(root[i * d + i]);
    }
    clusters.push({ d, covariance, mean, sigma, root, bias, constant });
  }
  return clusters;
}

function scaledCovariance(unscaled: Float64Array, scale: Float64Array, covariance: Covariance): Float64Array {
  const d = scale.length;
  const sigma = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    if (covariance === 'diag') sigma[i * d + i] = unscaled[i] / (scale[i] * scale[i]);
    else for (let j = 0; j < d; j++) sigma[i * d + j] = unscaled[i * d + j] / (scale[i] * scale[j]);
  }
  return sigma;
}

/** L⁻¹ of Σ = L·Lᵀ; null when Σ is not positive definite. */
function inverseRoot(sigma: Float64Array, d: number, covariance: Covariance): Float64Array | null {
  if (covariance === 'full') {
    const l = cholesky(sigma, d);
    return l && invertLower(l, d);
  }
  const root = new Float64Array(d * d);
  for (let p = 0; p < root.length; p += d + 1) {
    if (!(sigma[p] > 0 && sigma[p] < Infinity)) return null;
    root[p] = 1 / Math.sqrt(sigma[p]);
  }
  return root;
}

/** The cluster's column of Θ in float64: constant − ½bᵀb, −Rᵀb, and −½RᵀR with off-diagonal entries doubled. */
function densityColumn({ d, covariance, root, bias, constant }: Whitened): Float64Array {
  const column = new Float64Array(statisticsLength(d, covariance));
  const full = covariance === 'full';
  column[0] = constant;
  for (let r = 0; r < d; r++) {
    column[0] -= (bias[r] * bias[r]) / 2;
    let p = 1 + d;
    for (let i = 0; i <= r; i++) {
      const v = root[r * d + i];
      column[1 + i] -= v * bias[r];
      column[p] -= (v * v) / 2;
      if (full) for (let j = i + 1; j <= r; j++) column[p + j - i] -= v * root[r * d + j];
      p += full ? d - i : 1;
    }
  }
  return column;
}

/**
 * The expected rounding error of φ(y)·θ in float32 for y ~ N(μ, Σ): the root of the expected squares of each term θ_p φ_p(y)
 * (θ, φ and the product are rounded) and of each partial sum, times the roundoff, with terms taken as uncorrelated.
 * Partial sums matter most: θ_0 is large where the mean is many standard deviations from 0, and only the last terms
 * cancel it.
 */
function columnError({ d, covariance, mean, sigma }: Whitened, column: Float64Array): number {
  let sum = column[0];
  let variance = 0;
  let squares = 2 * sum * sum;
  for (let i = 0; i < d; i++) {
    const term = column[1 + i] * mean[i];
    const spread = column[1 + i] * column[1 + i] * sigma[i * d + i];
    sum += term;
    variance += spread;
    squares += term * term + spread + sum * sum + variance;
  }
  let p = 1 + d;
  for (let i = 0; i < d; i++) {
    const m = mean[i];
    const s = sigma[i * d + i];
    const end = covariance === 'full' ? d : i + 1;
    for (let j = i; j < end; j++) {
      const both = sigma[i * d + j];
      const product = m * mean[j];
      const t = sigma[j * d + j];
      const term = column[p] * (product + both);
      const spread =
        column[p] *
        column[p] *
        (m * m * t + mean[j] * mean[j] * s + 2 * product * both + s * t + both * both);
      sum += term;
      variance += spread;
      squares += term * term + spread + sum * sum + variance;
      p++;
    }
  }
  return CONSERVATIVE_ROUNDOFF * Math.sqrt(squares);
}

function choleskyForm(clusters: Whitened[], mixtureWeights: Float64Array): CholeskyForm {
  const K = clusters.length;
  const { d } = clusters[0];
  const weights = new Float32Array(d * K * d);
  const bias = new Float32Array(K * d);
  const constant = new Float32Array(K);
  for (let k = 0; k < K; k++) {
    const { root } = clusters[k];
    for (let j = 0; j < d; j++) {
      for (let i = j; i < d; i++) weights[j * K * d + k * d + i] = root[i * d + j];
    }
    bias.set(clusters[k].bias, k * d);
    constant[k] = mixtureWeights[k] > 0 ? clusters[k].constant : CLOSED;
  }
  return { form: 'cholesky', weights, bias, constant };
}

/** The same with one more component, whose log-density is `constant` for all rows. */
export function withConstant({ weights, bias, constant }: Densities, last: number): Densities {
  const { length: k } = constant;
  const width = bias.length;
  const d = width / k;
  const wider = new Float32Array(d * (width + d));
  for (let j = 0; j < d; j++) wider.set(weights.subarray(j * width, (j + 1) * width), j * (width + d));
  const longer = new Float32Array(width + d);
  longer.set(bias);
  return { weights: wider, bias: longer, constant: Float32Array.of(...constant, last) };
}

/** For each row, the cluster in which it is most likely, the first one on a tie. */
export function mostLikely({ weights, bias, constant }: Densities, rows: Float32Array): Int32Array {
  const { length: K } = constant;
  const d = bias.length / K;
  return Int32Array.from({ length: rows.length / d }, (_, row) => {
    let [best, most] = [0, -Infinity];
    for (let k = 0; k < K; k++) {
      // It only falls, so most clusters are out after a few dimensions.
      let density = constant[k];
      for (let i = 0, at = k * d; i < d && density > most; i++, at++) {
        let u = bias[at];
        for (let j = 0; j <= i; j++) u += rows[row * d + j] * weights[j * K * d + at];
        density -= (u * u) / 2;
      }
      if (density > most) [best, most] = [k, density];
    }
    return best;
  });
}

/** K columns of P numbers as one P×K matrix. */
function interleave(columns: Float64Array[]): Float32Array {
  const K = columns.length;
  const P = columns[0].length;
  const out = new Float32Array(P * K);
  for (let k = 0; k < K; k++) {
    const column = columns[k];
    for (let p = 0; p < P; p++) out[p * K + k] = column[p];
  }
  return out;
}
