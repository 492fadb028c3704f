import { setImmediate } from 'node:timers/promises';
import { generator } from '../model/random.ts';
import { nmiOfLabels } from '../model/scores.ts';
import { createNpy } from './npy.ts';
import { posteriorMode } from './posterior-mode.ts';
import { assertWithin, randomMixture, type SyntheticMixture } from './random-mixture.ts';

export interface SynthOptions {
  readonly clusters: number;
  readonly dim: number;
  readonly points: number;
  readonly seed: bigint;
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
  seed: bigint,
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
export async function synthesize(options: SynthOptions): Promise<{ bestNmi: number; judged: number }> {
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
