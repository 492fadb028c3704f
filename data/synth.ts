import { setImmediate } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { cholesky, dot } from '../model/linalg.ts';
import { generator, type Rng, type Seed } from '../model/random.ts';
import { nmiOfLabels } from '../model/scores.ts';
import { createNpy } from './npy.ts';

/** Test data: rows of a random mixture of separated Gaussians, and the best NMI that any clustering can have on them. A function of the mixture's sizes and the seed alone. */

export interface MixtureSpec {
  readonly clusters: number;
  readonly dim: number;
  readonly points: number;
  readonly seed: Seed;
  /** Path of the points: .npy, float32, points × dim. */
  readonly out: string;
  /** Path of the true clusters: .npy, int32, points. */
  readonly labels: string;
  /** Replace files that exist when these are finished; by default that is an error. */
  readonly force?: boolean;
  /** Called regularly with the number of points done. */
  readonly onProgress?: (done: number) => void;
  /** Aborts: leaves no files and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Rows drawn from one random stream. Changing it changes the data of every seed. */
export const CHUNK = 1024;
/** Largest number of rows for which the best possible NMI is computed. */
const NMI_ROWS = 100_000;
const MAX_POINTS = 2 ** 40;

/**
 * `count` ≤ CHUNK rows from row `chunk·CHUNK` on. They depend on the mixture, the seed and the row index alone, so that a
 * smaller file is a prefix of a larger one.
 */
export function drawChunk(
  { dim, weights, means, factors }: SyntheticMixture,
  seed: Seed,
  chunk: number,
  count: number,
): { x: Float32Array<ArrayBuffer>; labels: Int32Array<ArrayBuffer> } {
  const rng = generator(seed, 'synth rows', chunk);
  const x = new Float32Array(count * dim);
  const labels = new Int32Array(count);
  const pick = clusterPicker(weights);
  const z = new Float64Array(dim);
  for (let i = 0; i < count; i++) {
    const k = pick(rng.uniform());
    labels[i] = k;
    for (let d = 0; d < dim; d++) z[d] = rng.normal();
    for (let d = 0; d < dim; d++) {
      const at = (k * dim + d) * dim;
      let value = means[k * dim + d];
      for (let e = 0; e <= d; e++) value += factors[at + e] * z[e];
      x[i * dim + d] = value;
    }
  }
  return { x, labels };
}

/**
 * The first cluster at which u, less the weights before it, is below its weight. Subtracting one weight after another
 * defines it, rounding errors included; bisection of the cumulative weights finds it wherever u is not that close to a
 * boundary.
 */
export function clusterPicker(weights: Float64Array): (u: number) => number {
  const last = weights.length - 1;
  const ends = new Float64Array(weights.length);
  for (let k = 0, end = 0; k <= last; k++) ends[k] = end += weights[k];
  const rounding = weights.length * 2 ** -50;
  const subtracting = (u: number): number => {
    let k = 0;
    for (let rest = u; k < last && rest >= weights[k]; k++) rest -= weights[k];
    return k;
  };
  return (u) => {
    let [low, high] = [0, last];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (u < ends[middle]) high = middle;
      else low = middle + 1;
    }
    const isClear = (low === 0 || u - ends[low - 1] > rounding) && (low === last || ends[low] - u > rounding);
    return isClear ? low : subtracting(u);
  };
}

/**
 * Writes points and labels drawn from `randomMixture(clusters, dim, seed)`, atomically and in a few MB of memory beside
 * the mixture's. The same options give the same bytes; a smaller number of points gives a prefix.
 *
 * @returns `bestNmi`, the NMI of the posterior mode under the true parameters, which no clustering exceeds but by chance, and
 * `judged`, the number of rows it is computed on: all, or for more than 100,000 points every ⌈points/100,000⌉-th
 */
export async function synthesize(options: MixtureSpec): Promise<{ bestNmi: number; judged: number }> {
  const { clusters, dim, points, seed, out, labels, force = false, onProgress, signal } = options;
  assertWithin('--points', points, MAX_POINTS);
  const truth = randomMixture(clusters, dim, seed);
  const mode = posteriorMode(truth);
  const stride = Math.ceil(points / NMI_ROWS);
  const judged = Math.ceil(points / stride);
  const [modes, trueClusters] = [new Int32Array(judged), new Int32Array(judged)];

  const pointFile = createNpy(out, '<f4', [points, dim], { replace: force });
  let labelFile: ReturnType<typeof createNpy> | undefined;
  try {
    labelFile = createNpy(labels, '<i4', [points], { replace: force });
    for (let first = 0; first < points; first += CHUNK) {
      const count = Math.min(CHUNK, points - first);
      const drawn = drawChunk(truth, seed, first / CHUNK, count);
      pointFile.write(drawn.x, first * dim);
      labelFile.write(drawn.labels, first);
      for (let i = (stride - (first % stride)) % stride; i < count; i += stride) {
        const at = (first + i) / stride;
        trueClusters[at] = drawn.labels[i];
        modes[at] = mode(drawn.x.subarray(i * dim, (i + 1) * dim), drawn.labels[i]);
      }
      onProgress?.(first + count);
      await setImmediate();
      signal?.throwIfAborted();
    }
    pointFile.finish();
    labelFile.finish();
  } catch (error) {
    pointFile.abort();
    labelFile?.abort();
    throw error;
  }
  return { bestNmi: nmiOfLabels(modes, trueClusters), judged };
}

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
const MAX_SD = 2;
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
export function randomMixture(clusters: number, dim: number, seed: Seed): SyntheticMixture {
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
function assertWithin(flag: string, value: number, max: number): void {
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

/** Exceeds the rounding errors of scores. */
const SLACK = 1e-6;
/** Lists of neighbours that are longer are not kept: they would not save time, and K of them much memory. */
const MOST_NEIGHBOURS = 512;

/**
 * Returns a function that gives the most probable cluster of a row under the true parameters, argmax_k log π_k +
 * log N(x; μ_k, Σ_k). `guess`, a likely cluster, only saves time: clusters that are too far from it are not looked at.
 */
export function posteriorMode(truth: SyntheticMixture): (x: Float32Array, guess: number) => number {
  const { dim, weights, means, factors } = truth;
  const constants = weights.map((weight, k) => {
    let constant = Math.log(weight);
    for (let d = 0; d < dim; d++) constant -= Math.log(factors[(k * dim + d) * dim + d]);
    return constant;
  });
  const whitened = new Float64Array(dim);
  const score = (x: Float32Array, k: number, least: number): number => {
    let sum = constants[k];
    for (let d = 0; d < dim && sum > least; d++) {
      const at = (k * dim + d) * dim;
      let residual = x[d] - means[k * dim + d];
      for (let e = 0; e < d; e++) residual -= factors[at + e] * whitened[e];
      whitened[d] = residual / factors[at + d];
      sum -= whitened[d] ** 2 / 2;
    }
    return sum;
  };
  /** Is the score certainly below `least`? No standard deviation exceeds MAX_SD. */
  const isTooFar = (x: Float32Array, k: number, least: number): boolean => {
    const limit = 2 * MAX_SD ** 2 * (constants[k] - least + SLACK);
    let square = 0;
    for (let d = 0; d < dim; d++) {
      square += (x[d] - means[k * dim + d]) ** 2;
      if (square > limit) return true;
    }
    return false;
  };
  const highest = constants.reduce((a, b) => Math.max(a, b));
  const neighbours = neighbourLists(truth);
  return (x, guess) => {
    let mode = guess;
    let best = score(x, guess, Number.NEGATIVE_INFINITY);
    // No cluster further from the guess can win: by the triangle inequality it is too far from x.
    const reach = MAX_SD * Math.sqrt(2 * (highest - best + SLACK));
    const near = neighbours(guess, distance(x, means.subarray(guess * dim, (guess + 1) * dim)) + reach);
    const count = near ? near.length : weights.length;
    for (let i = 0; i < count; i++) {
      const k = near ? near[i] : i;
      if (isTooFar(x, k, best)) continue;
      const other = score(x, k, best);
      if (other > best) [best, mode] = [other, k];
    }
    return mode;
  };
}

/**
 * Returns a function that gives, in ascending order, at least the clusters whose means are within `radius` of cluster k's;
 * null where they are many. Lists are made when they are first needed, somewhat larger than needed.
 */
function neighbourLists({ dim, means, clusters }: SyntheticMixture) {
  const lists: { radius: number; near: Int32Array | null }[] = [];
  const within = (k: number, radius: number): Int32Array | null => {
    const near: number[] = [];
    for (let other = 0; other < clusters; other++) {
      let square = 0;
      for (let d = 0; d < dim && square <= radius ** 2; d++)
        square += (means[other * dim + d] - means[k * dim + d]) ** 2;
      if (square <= radius ** 2) near.push(other);
      if (near.length > MOST_NEIGHBOURS) return null;
    }
    return Int32Array.from(near);
  };
  return (k: number, radius: number): Int32Array | null => {
    const known = lists[k];
    if (known && (known.radius >= radius || !known.near)) return known.near;
    const larger = 1.25 * radius;
    lists[k] = { radius: larger, near: within(k, larger) };
    return lists[k].near;
  };
}

function distance(x: Float32Array, mean: Float64Array): number {
  let square = 0;
  for (let d = 0; d < x.length; d++) square += (x[d] - mean[d]) ** 2;
  return Math.sqrt(square);
}
