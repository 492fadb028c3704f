/**
 * The resolution γ at which a graph's partition depends least on which rows were sampled. Each γ is tried on random subsets of
 * the rows: partitions that are due to the population and not to chance agree on the rows that two subsets share (von Luxburg
 * 2010, *Clustering stability: an overview*).
 */
import { generator, type Seed, shuffledPrefix } from '../random.ts';
import { ariOfLabels } from '../scores.ts';
import { beyondChance } from './null-stability.ts';

/** The resolutions to try, in order: 2^(j/2) for j = −2 … 12. */
export const GRID: readonly number[] = Array.from({ length: 15 }, (_, j) => 2 ** ((j - 2) / 2));

/** Below this, there are no clusters: of what of a stability is beyond chance (null-stability.ts). */
const LEAST_BEYOND = 0.3;
/** A resolution is useful if its mean is at least this share of the best. */
const USEFUL_SHARE = 0.75;
/** So many resolutions in a row that are not useful end the search. */
const USELESS = 4;

/** How well the partitions of subsets agree at one resolution. */
export interface Stability {
  /** Mean adjusted Rand index of all pairs of replicates, on the rows that they share. */
  readonly mean: number;
  /** Its standard error, roughly: the standard deviation over the pairs, divided by the root of the number of replicates. */
  readonly error: number;
  /** The median number of clusters; of an even number of replicates, the mean of the middle two. */
  readonly k: number;
  /** The least and the largest number of clusters. */
  readonly range: readonly [least: number, largest: number];
}

/**
 * The rows of a replicate: a random share of 0 … n−1, ascending. They are the same at each γ, so that the differences between
 * resolutions are not those between subsets.
 */
export function replicateRows(seed: Seed, replicate: number, n: number, share = 0.6): Int32Array {
  const rng = generator(seed, 'graph-replicate', replicate);
  return Int32Array.from(shuffledPrefix(rng, n, Math.floor(share * n)).sort());
}

/** The labels of all n rows, −1 for those that are not among `rows`, of which these are the labels. */
export function labelsOfAll(labels: Int32Array, rows: Int32Array, n: number): Int32Array {
  const all = new Int32Array(n).fill(-1);
  rows.forEach((row, i) => {
    all[row] = labels[i];
  });
  return all;
}

/**
 * How well replicates agree. The index of a pair is 0 if one or both have a single cluster: at a small enough γ that is so
 * whatever the rows.
 *
 * @param labels of each replicate, n labels 0 … K−1, or −1 for rows that it does not have; RangeError for less than two replicates
 */
export function stability(labels: readonly Int32Array[], n: number): Stability {
  if (labels.length < 2) throw new RangeError(`the stability of ${labels.length} replicates`);
  const clusters = labels.map((own) => own.reduce((most, label) => Math.max(most, label + 1), 0));
  const [a, b] = [new Int32Array(n), new Int32Array(n)];
  const agreements: number[] = [];
  for (let i = 0; i < labels.length; i++)
    for (let j = 0; j < i; j++) {
      const shared = sharedRows(labels[i], labels[j], a, b);
      const isSingle = clusters[i] <= 1 || clusters[j] <= 1;
      agreements.push(isSingle ? 0 : ariOfLabels(a.subarray(0, shared), b.subarray(0, shared)));
    }
  const mean = meanOf(agreements);
  const variance = meanOf(agreements.map((value) => (value - mean) ** 2));
  return {
    ...{ mean, error: Math.sqrt(variance / labels.length), k: median(clusters) },
    range: [Math.min(...clusters), Math.max(...clusters)],
  };
}

/** Gathers the labels of the rows that both have. Returns how many these are. */
function sharedRows(one: Int32Array, other: Int32Array, a: Int32Array, b: Int32Array): number {
  let shared = 0;
  for (let row = 0; row < a.length; row++)
    if (one[row] >= 0 && other[row] >= 0) {
      a[shared] = one[row];
      b[shared++] = other[row];
    }
  return shared;
}

const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function median(values: number[]): number {
  const sorted = values.toSorted((x, y) => x - y);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Is the search past the last useful resolution? `curve`: the stability at the first resolutions of `GRID`. */
export function isPastLast(curve: readonly Pick<Stability, 'mean'>[]): boolean {
  if (curve.length <= USELESS) return false;
  const best = (of: typeof curve) => Math.max(...of.map(({ mean }) => mean));
  return best(curve.slice(-USELESS)) < USEFUL_SHARE * best(curve);
}

/**
 * The place in the curve of the resolution with the largest mean − error of what is beyond chance, the first one on a tie; null if
 * it is too low for there to be clusters.
 */
export function chosenResolution(
  curve: readonly { beyond: Pick<Stability, 'mean' | 'error'> }[],
): number | null {
  if (!curve.length) return null;
  const bounds = curve.map(({ beyond }) => beyond.mean - beyond.error);
  const best = bounds.indexOf(Math.max(...bounds));
  return curve[best].beyond.mean >= LEAST_BEYOND ? best : null;
}

/** Is a stability so far beyond that of a single cluster that there are several? */
export const areClusters = (mean: number, chance: number): boolean =>
  beyondChance(mean, chance) >= LEAST_BEYOND;
