import { UserError } from '../base/user-error.ts';
import { cholesky, dot } from '../model/linalg.ts';
import { generator, type Rng } from '../model/random.ts';

/** The true mixture of synthetic data; arrays are row-major. */
export interface SyntheticMixture {
  readonly clusters: number;
  readonly dim: number;
  /** K numbers that sum to 1. */
  readonly weights: Float64Array;
  /** K × D. */
  readonly means: Float64Array;
  /** K × D × D: the lower Cholesky factor of each covariance. */
  readonly factors: Float64Array;
}

/** Minimum Mahalanobis distance between clusters. */
export const SEPARATION = 4;
/** Standard deviation of the means. */
const MEAN_SD = 6;
/** The least and the largest standard deviation of a cluster in any direction. */
const MIN_SD = 0.5;
export const MAX_SD = 2;
/** Parameter of the Dirichlet distribution of the weights. */
const CONCENTRATION = 5;
const MAX_ATTEMPTS = 10_000;
/** Relative rounding error that the bounds of a separation may have. */
const MARGIN = 1e-9;
const LIMITS = { clusters: 10_000, dim: 1024, numbers: 2 ** 26 };

/**
 * A random mixture of separated Gaussians: means from N(0, 6²I), each redrawn until its distance from all earlier ones is at
 * least 4 (see `separation`); covariances R diag(s²) Rᵀ with R a random rotation and s uniform in [½, 2]; weights from
 * Dirichlet(5, …, 5). Each cluster depends only on the seed and on the clusters before it. Throws a UserError if the
 * clusters cannot be separated in so few dimensions, or are too large for memory.
 */
export function randomMixture(clusters: number, dim: number, seed: bigint): SyntheticMixture {
  assertWithin('--clusters', clusters, LIMITS.clusters);
  assertWithin('--dim', dim, LIMITS.dim);
  if (clusters * dim ** 2 > LIMITS.numbers)
    throw new UserError(
      `the covariances of ${clusters} clusters in ${dim} dimensions are too large: lower --clusters or --dim`,
    );

  const gammas = Float64Array.from({ length: clusters }, (_, k) =>
    generator(seed, 'synth weight', k).gamma(CONCENTRATION),
  );
  const total = gammas.reduce((a, b) => a + b, 0);
  const drawn = {
    clusters,
    dim,
    weights: gammas.map((gamma) => gamma / total),
    means: new Float64Array(clusters * dim),
    factors: new Float64Array(clusters * dim ** 2),
  };
  for (let k = 0; k < clusters; k++) {
    const rng = generator(seed, 'synth cluster', k);
    drawn.factors.set(randomFactor(rng, dim), k * dim ** 2);
    placeMean(rng, drawn, k);
  }
  return drawn;
}

/** Throws a UserError that names the flag unless `value` is a whole number from 1 to `max`. */
export function assertWithin(flag: string, value: number, max: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1 && value <= max))
    throw new UserError(`${flag} must be a whole number from 1 to ${max}, not ${value}`);
}

/** The Cholesky factor of a rotated covariance: Σ_i s_i² q_i q_iᵀ. */
function randomFactor(rng: Rng, dim: number): Float64Array {
  const axes = randomRotation(rng, dim);
  const sum = new Float64Array(dim ** 2);
  for (const axis of axes) {
    const variance = (MIN_SD + (MAX_SD - MIN_SD) * rng.uniform()) ** 2;
    for (let a = 0; a < dim; a++)
      for (let b = 0; b <= a; b++) sum[a * dim + b] += variance * axis[a] * axis[b];
  }
  return cholesky(sum, dim)!;
}

/** D orthonormal axes, uniformly distributed over rotations: Gram–Schmidt on normal vectors. */
function randomRotation(rng: Rng, dim: number): Float64Array[] {
  const axes: Float64Array[] = [];
  while (axes.length < dim) {
    const axis = Float64Array.from({ length: dim }, () => rng.normal());
    for (const earlier of axes) {
      const along = dot(axis, earlier);
      for (let d = 0; d < dim; d++) axis[d] -= along * earlier[d];
    }
    const length = Math.sqrt(dot(axis, axis));
    axes.push(axis.map((x) => x / length));
  }
  return axes;
}

/** Redraws mean k until it is far enough from means 0 … k−1. Throws a UserError after MAX_ATTEMPTS. */
function placeMean(rng: Rng, drawn: SyntheticMixture, k: number): void {
  const { dim, means } = drawn;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    for (let d = 0; d < dim; d++) means[k * dim + d] = MEAN_SD * rng.normal();
    let separated = true;
    for (let other = 0; other < k && separated; other++) separated = areSeparated(drawn, k, other);
    if (separated) return;
  }
  throw new UserError(
    `cluster ${k + 1} of ${drawn.clusters} cannot be placed ${SEPARATION} standard deviations from the others in ` +
      `${dim} dimension${dim === 1 ? '' : 's'}: lower --clusters, or raise --dim`,
  );
}

/**
 * Is the separation at least SEPARATION? K²/2 pairs ask, so bounds come first, the cheapest before the others. As all
 * standard deviations are in [½, 2], the Euclidean distance usually decides, and for distant clusters its first few terms.
 */
function areSeparated(drawn: SyntheticMixture, a: number, b: number): boolean {
  const { means, dim } = drawn;
  const far = (SEPARATION * MAX_SD) ** 2;
  let square = 0;
  for (let d = 0; d < dim; d++) {
    square += (means[a * dim + d] - means[b * dim + d]) ** 2;
    if (square >= far) return true;
  }
  const euclidean = Math.sqrt(square);
  if (euclidean >= SEPARATION * MAX_SD) return true;
  if (euclidean < SEPARATION * MIN_SD) return false;
  const [least, most] = separationBounds(drawn, a, b);
  // The margin exceeds the rounding errors of bounds and separation: the decision is always that of the separation.
  if (least > SEPARATION * (1 + MARGIN)) return true;
  if (most < SEPARATION * (1 - MARGIN)) return false;
  return separation(drawn, a, b) >= SEPARATION;
}

/**
 * Bounds of `separation` in O(D²), with Δ the difference of the means and Σ the average covariance: by Cauchy–Schwarz
 * ΔᵀΣ⁻¹Δ ≥ (ΔᵀΔ)²/ΔᵀΣΔ, and as the inverse is convex ΔᵀΣ⁻¹Δ ≤ (ΔᵀΣa⁻¹Δ + ΔᵀΣb⁻¹Δ)/2.
 */
export function separationBounds(drawn: SyntheticMixture, a: number, b: number): [number, number] {
  const { dim, factors } = drawn;
  const delta = difference(drawn, a, b);
  let [spread, squares] = [0, 0];
  const whitened = new Float64Array(dim);
  for (const k of [a, b]) {
    const at = k * dim ** 2;
    for (let e = 0; e < dim; e++) {
      let along = 0;
      for (let d = e; d < dim; d++) along += factors[at + d * dim + e] * delta[d];
      spread += along ** 2 / 2;
    }
    for (let d = 0; d < dim; d++) {
      let residual = delta[d];
      for (let e = 0; e < d; e++) residual -= factors[at + d * dim + e] * whitened[e];
      whitened[d] = residual / factors[at + d * dim + d];
      squares += whitened[d] ** 2 / 2;
    }
  }
  return [dot(delta, delta) / Math.sqrt(spread), Math.sqrt(squares)];
}

const difference = ({ means, dim }: SyntheticMixture, a: number, b: number): Float64Array =>
  Float64Array.from({ length: dim }, (_, d) => means[a * dim + d] - means[b * dim + d]);

/** The Mahalanobis distance of two clusters' means under the average of their covariances. */
export function separation(drawn: SyntheticMixture, a: number, b: number): number {
  const { dim } = drawn;
  const other = covariance(drawn, b);
  const average = covariance(drawn, a).map((value, i) => (value + other[i]) / 2);
  const lower = cholesky(average, dim)!;
  const whitened = difference(drawn, a, b);
  for (let d = 0; d < dim; d++) {
    for (let e = 0; e < d; e++) whitened[d] -= lower[d * dim + e] * whitened[e];
    whitened[d] /= lower[d * dim + d];
  }
  return Math.sqrt(dot(whitened, whitened));
}

/** Σ_k, D × D. */
export function covariance({ factors, dim }: SyntheticMixture, k: number): Float64Array {
  const row = (i: number) => factors.subarray((k * dim + i) * dim, (k * dim + i + 1) * dim);
  return Float64Array.from({ length: dim ** 2 }, (_, i) => dot(row(Math.floor(i / dim)), row(i % dim)));
}
