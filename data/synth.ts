import { setImmediate } from 'node:timers/promises';
import { UserError } from '../base/user-error.ts';
import { cholesky } from '../model/linalg.ts';
import { generator, type Rng } from '../model/random.ts';
import { contingencyCounter, nmi } from '../model/scores.ts';
import { createNpy } from './npy.ts';

/** A Gaussian mixture; arrays are row-major. */
export interface Mixture {
  readonly clusters: number;
  readonly dim: number;
  /** K, sum 1. */
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
  /** Where the points go: .npy, float32, points × dim. */
  readonly out: string;
  /** Where the clusters go: .npy, int32, points. */
  readonly labels: string;
  /** Told now and then how many points are done. */
  readonly onProgress?: (done: number) => void;
  /** Stops the work: nothing is left behind, and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Rows of one random stream. Part of what a seed means: another number gives other data. */
export const CHUNK = 1024;
/** Clusters are at least this far apart (Mahalanobis). */
export const SEPARATION = 4;
const MEAN_SPREAD = 6;
const [NARROWEST, WIDEST] = [0.5, 2];
const CONCENTRATION = 5;
const TRIES = 10_000;
const JUDGED_ROWS = 100_000;
const LIMITS = { clusters: 1000, dim: 1024, numbers: 2 ** 26, points: 2 ** 40 };

/**
 * A random mixture of separated Gaussians: means from N(0, 6²I), each drawn anew until it is at least 4 from
 * all earlier ones (see `separation`); covariances R diag(s²) Rᵀ with R a random rotation and s uniform in
 * [½, 2]; weights from Dirichlet(5, …, 5). Each cluster is a function of the seed and of the clusters before it.
 * A UserError if so many clusters find no place in so few dimensions, or more than memory and time allow.
 */
export function mixture(clusters: number, dim: number, seed: bigint): Mixture {
  assertWithin('--clusters', clusters, LIMITS.clusters);
  assertWithin('--dim', dim, LIMITS.dim);
  if (clusters * dim ** 2 > LIMITS.numbers)
    throw new UserError(
      `${clusters} covariances of ${dim} dimensions are too large: lower --clusters or --dim`,
    );

  const shares = Float64Array.from({ length: clusters }, (_, k) =>
    generator(seed, 'synth weight', k).gamma(CONCENTRATION),
  );
  const total = shares.reduce((a, b) => a + b, 0);
  const drawn = {
    clusters,
    dim,
    weights: shares.map((share) => share / total),
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

function assertWithin(flag: string, value: number, most: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1 && value <= most))
    throw new UserError(`${flag} must be a whole number from 1 to ${most}, not ${value}`);
}

/** The Cholesky factor of a rotated covariance: Σ_i s_i² q_i q_iᵀ. */
function randomFactor(rng: Rng, dim: number): Float64Array {
  const axes = randomRotation(rng, dim);
  const sum = new Float64Array(dim ** 2);
  for (const axis of axes) {
    const variance = (NARROWEST + (WIDEST - NARROWEST) * rng.uniform()) ** 2;
    for (let a = 0; a < dim; a++)
      for (let b = 0; b <= a; b++) sum[a * dim + b] += variance * axis[a] * axis[b];
  }
  return cholesky(sum, dim)!;
}

/** D orthonormal axes, each rotation equally likely: normal vectors, made orthogonal one after the other. */
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

/** Draws mean k until it is far enough from means 0 … k−1. */
function placeMean(rng: Rng, drawn: Mixture, k: number): void {
  const { dim, means } = drawn;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    for (let d = 0; d < dim; d++) means[k * dim + d] = MEAN_SPREAD * rng.normal();
    let free = true;
    for (let other = 0; other < k && free; other++) free = apart(drawn, k, other);
    if (free) return;
  }
  throw new UserError(
    `cluster ${k + 1} of ${drawn.clusters} finds no place ${SEPARATION} standard deviations from the others in ` +
      `${dim} dimension${dim === 1 ? '' : 's'}: lower --clusters, or raise --dim`,
  );
}

/** Is the separation at least SEPARATION? Mostly the Euclidean distance tells, as all deviations are in [½, 2]. */
function apart(drawn: Mixture, a: number, b: number): boolean {
  const delta = difference(drawn, a, b);
  const euclidean = Math.sqrt(dot(delta, delta));
  if (euclidean >= SEPARATION * WIDEST) return true;
  if (euclidean < SEPARATION * NARROWEST) return false;
  return separation(drawn, a, b) >= SEPARATION;
}

const difference = ({ means, dim }: Mixture, a: number, b: number): Float64Array =>
  Float64Array.from({ length: dim }, (_, d) => means[a * dim + d] - means[b * dim + d]);

/** The Mahalanobis distance of two clusters' means under the average of their covariances. */
export function separation(drawn: Mixture, a: number, b: number): number {
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
export function covariance({ factors, dim }: Mixture, k: number): Float64Array {
  const row = (i: number) => factors.subarray((k * dim + i) * dim, (k * dim + i + 1) * dim);
  return Float64Array.from({ length: dim ** 2 }, (_, i) => dot(row(Math.floor(i / dim)), row(i % dim)));
}

/**
 * Rows `chunk·CHUNK …`, count ≤ CHUNK of them: a function of the mixture, the seed and the row alone, so that
 * a smaller file is the beginning of a larger one.
 */
export function drawChunk(
  { clusters, dim, weights, means, factors }: Mixture,
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
 * The most probable cluster of a row under the true parameters: argmax_k log π_k + log N(x; μ_k, Σ_k). `guess`,
 * a likely cluster, only saves time: the others are given up as soon as they are worse.
 */
export function posteriorMode(truth: Mixture): (x: Float32Array, guess: number) => number {
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
      let rest = x[d] - means[k * dim + d];
      for (let e = 0; e < d; e++) rest -= factors[at + e] * whitened[e];
      whitened[d] = rest / factors[at + d];
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
 * Writes the points and labels of `mixture(clusters, dim, seed)`, both aside and then under their names, in a few
 * MB of memory. Same options, same bytes; fewer points are the beginning of more.
 *
 * @returns the NMI that the posterior under the true parameters reaches, which nobody can beat but by chance, and
 * the number of rows it is measured on: all, or for more than 100,000 points every ⌈points/100,000⌉-th
 */
export async function synthesize(options: SynthOptions): Promise<{ bestNmi: number; judged: number }> {
  const { clusters, dim, points, seed, out, labels, onProgress, signal } = options;
  assertWithin('--points', points, LIMITS.points);
  const truth = mixture(clusters, dim, seed);
  const mode = posteriorMode(truth);
  const stride = Math.ceil(points / JUDGED_ROWS);
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
