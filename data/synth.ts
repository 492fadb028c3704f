import { setImmediate } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { cholesky } from '../model/linalg.ts';
import { generator, type Rng } from '../model/random.ts';
import { contingencyCounter, nmi } from '../model/scores.ts';
import { createNpy } from './npy.ts';

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

export interface SynthOptions {
  readonly clusters: number;
  readonly dim: number;
  readonly points: number;
  readonly seed: bigint;
  /** Path of the points: .npy, float32, points × dim. */
  readonly out: string;
  /** Path of the true clusters: .npy, int32, points. */
  readonly labels: string;
  /** Called regularly with the number of points done. */
  readonly onProgress?: (done: number) => void;
  /** Aborts: leaves no files and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Rows drawn from one random stream. Changing it changes the data of every seed. */
export const CHUNK = 1024;
/** Minimum Mahalanobis distance between clusters. */
export const SEPARATION = 4;
/** Standard deviation of the means. */
const MEAN_SD = 6;
/** Range of the clusters' standard deviations. */
const [MIN_SD, MAX_SD] = [0.5, 2];
/** Parameter of the Dirichlet distribution of the weights. */
const CONCENTRATION = 5;
const MAX_ATTEMPTS = 10_000;
/** Largest number of rows for which the best possible NMI is computed. */
const NMI_ROWS = 100_000;
const LIMITS = { clusters: 1000, dim: 1024, numbers: 2 ** 26, points: 2 ** 40 };

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

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
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
 * Is the separation at least SEPARATION? The Euclidean distance usually decides, as all standard deviations are in [½, 2].
 */
function areSeparated(drawn: SyntheticMixture, a: number, b: number): boolean {
  const delta = difference(drawn, a, b);
  const euclidean = Math.sqrt(dot(delta, delta));
  if (euclidean >= SEPARATION * MAX_SD) return true;
  if (euclidean < SEPARATION * MIN_SD) return false;
  return separation(drawn, a, b) >= SEPARATION;
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

/**
 * `count` ≤ CHUNK rows from row `chunk·CHUNK` on. They depend on the mixture, the seed and the row index alone, so that a
 * smaller file is a prefix of a larger one.
 */
export function drawChunk(
  { clusters, dim, weights, means, factors }: SyntheticMixture,
  seed: bigint,
  chunk: number,
  count: number,
): { x: Float32Array<ArrayBuffer>; labels: Int32Array<ArrayBuffer> } {
  const rng = generator(seed, 'synth rows', chunk);
  const x = new Float32Array(count * dim);
  const labels = new Int32Array(count);
  const z = new Float64Array(dim);
  for (let i = 0; i < count; i++) {
    let k = 0;
    for (let u = rng.uniform(); k < clusters - 1 && u >= weights[k]; k++) u -= weights[k];
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
 * Returns a function that gives the most probable cluster of a row under the true parameters, argmax_k log π_k +
 * log N(x; μ_k, Σ_k). `guess`, a likely cluster, only saves time: evaluation of another one stops once it is worse.
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
  return (x, guess) => {
    let mode = guess;
    let best = score(x, guess, Number.NEGATIVE_INFINITY);
    for (let k = 0; k < weights.length; k++) {
      const other = score(x, k, best);
      if (other > best) [best, mode] = [other, k];
    }
    return mode;
  };
}

/**
 * Writes points and labels drawn from `randomMixture(clusters, dim, seed)`, atomically and in a few MB of memory. The same
 * options give the same bytes; a smaller number of points gives a prefix.
 *
 * @returns `bestNmi`, the NMI of the posterior mode under the true parameters, which no clustering exceeds but by chance, and
 * `judged`, the number of rows it is computed on: all, or for more than 100,000 points every ⌈points/100,000⌉-th
 */
export async function synthesize(options: SynthOptions): Promise<{ bestNmi: number; judged: number }> {
  const { clusters, dim, points, seed, out, labels, onProgress, signal } = options;
  assertWithin('--points', points, LIMITS.points);
  const truth = randomMixture(clusters, dim, seed);
  const mode = posteriorMode(truth);
  const stride = Math.ceil(points / NMI_ROWS);
  const agreement = contingencyCounter();

  const pointFile = createNpy(out, '<f4', [points, dim]);
  let labelFile: ReturnType<typeof createNpy> | undefined;
  try {
    labelFile = createNpy(labels, '<i4', [points]);
    for (let first = 0; first < points; first += CHUNK) {
      const count = Math.min(CHUNK, points - first);
      const drawn = drawChunk(truth, seed, first / CHUNK, count);
      pointFile.write(drawn.x, first * dim);
      labelFile.write(drawn.labels, first);
      const judged: number[] = [];
      for (let i = (stride - (first % stride)) % stride; i < count; i += stride) judged.push(i);
      agreement.add(
        judged.map((i) => mode(drawn.x.subarray(i * dim, (i + 1) * dim), drawn.labels[i])),
        judged.map((i) => drawn.labels[i]),
      );
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
  const table = agreement.table();
  return { bestNmi: nmi(table), judged: table.rows };
}
