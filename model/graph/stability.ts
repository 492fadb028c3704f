/**
 * The resolution γ at which a graph's partition depends least on which rows were sampled. Each γ is tried on random subsets of
 * the rows: partitions that are due to the population and not to chance agree on the rows that two subsets share (von Luxburg
 * 2010, *Clustering stability: an overview*).
 */
import { median } from 'simple-statistics';
import { generator, type Seed, shuffledPrefix } from '../random.ts';
import { ariOfLabels } from '../scores.ts';

/** The resolutions to try, in order: 2^(j/2) for j = −2 … 12. Below ½ MNIST's digits join. */
export const GRID: readonly number[] = Array.from({ length: 15 }, (_, j) => 2 ** ((j - 2) / 2));

/** Resolutions below those of the grid, descending, for rows along curves and surfaces. */
export const COARSE_GRID: readonly number[] = Array.from({ length: 10 }, (_, j) => 2 ** -(j + 3));
/** A partition at one of them is of whole curves if it is so many times as stable as any with so many times as many clusters. */
const [TIMES_AS_STABLE, TIMES_AS_MANY] = [2, 2];

/** Below this, there are no clusters: of what of a stability is beyond chance (`beyondChance`). A Gaussian of decaying variances has .23, Fashion-MNIST .66. */
const LEAST_BEYOND = 0.3;
/** A resolution is useful if its mean is at least this share of the best. */
const USEFUL_SHARE = 0.75;
/** The search ends after so many resolutions in a row that are not useful. */
const USELESS = 4;

/** How well the partitions of subsets agree at one resolution. */
export interface StabilityEstimate {
  /** Mean adjusted Rand index of all pairs of replicates, on the rows that they share. */
  readonly mean: number;
  /** Its standard error, roughly: the standard deviation over the pairs, divided by the root of the number of replicates. */
  readonly error: number;
  /** The median number of clusters; of an even number of replicates, the mean of the middle two. */
  readonly k: number;
  /** The least and the largest number of clusters. */
  readonly range: readonly [least: number, largest: number];
}

/** Stability, and what of the mean and its error is beyond chance: that by which resolutions are compared. */
export interface ComparedStability extends StabilityEstimate {
  readonly beyond: Pick<StabilityEstimate, 'mean' | 'error'>;
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
 * @param labels of each replicate, n labels 0 … K−1 of two or more replicates, or −1 for rows that it does not have
 */
export function stability(labels: readonly Int32Array[], n: number): StabilityEstimate {
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

/** Is the search past the last useful resolution? `curve`: the stability at the first resolutions of `GRID`. */
export function isPastLast(curve: readonly Pick<StabilityEstimate, 'mean'>[]): boolean {
  if (curve.length <= USELESS) return false;
  const best = (of: typeof curve) => Math.max(...of.map(({ mean }) => mean));
  return best(curve.slice(-USELESS)) < USEFUL_SHARE * best(curve);
}

/**
 * The place in the curve of the resolution with the largest mean − error of what is beyond chance, the first one on a tie; null if
 * it is too low for there to be clusters.
 */
export function chosenResolution(
  curve: readonly { beyond: Pick<StabilityEstimate, 'mean' | 'error'> }[],
): number | null {
  if (!curve.length) return null;
  const bounds = curve.map(({ beyond }) => beyond.mean - beyond.error);
  const best = bounds.indexOf(Math.max(...bounds));
  return curve[best].beyond.mean >= LEAST_BEYOND ? best : null;
}

/**
 * The place in `coarse`, a curve over `COARSE_GRID`, of a partition so much more stable than finer ones that these only slice its
 * clusters; null if there is none. Below three intrinsic dimensions so few edges cross a cut through a curve that at γ ≥ ½ cuts gain
 * anywhere, and replicates agree by half. Where groups of clusters are stable and the clusters in them too, these are kept.
 */
export function unslicedResolution(
  curve: readonly Pick<ComparedStability, 'k' | 'beyond'>[],
  coarse: readonly Pick<ComparedStability, 'k' | 'beyond'>[],
): number | null {
  const best = chosenResolution(coarse);
  if (best === null) return null;
  const { k, beyond } = coarse[best];
  const finer = [...curve, ...coarse].filter((point) => point.k >= TIMES_AS_MANY * k);
  const needed = TIMES_AS_STABLE * Math.max(LEAST_BEYOND, ...finer.map((point) => point.beyond.mean));
  return beyond.mean - beyond.error >= needed ? best : null;
}

/** Is a stability so far beyond that of a single cluster that there are several? */
export const areClusters = (mean: number, chance: number): boolean =>
  beyondChance(mean, chance) >= LEAST_BEYOND;

/**
 * How stable partitions of data without clusters are: of a single Gaussian of the data's intrinsic dimension. Small parts agree
 * by themselves, as they are little more than a row and its neighbours; that depends on the rows of a part and the dimension, and
 * hardly on how many parts there are.
 */
export interface NullStability {
  /** Rows of a cluster, descending, and the stability at this size. */
  readonly rows: readonly number[];
  readonly mean: readonly number[];
}

/** Rows of a Gaussian with independent columns of these variances, [n,d]. */
export function gaussianRows(seed: Seed, n: number, variances: readonly number[]): Float32Array {
  const d = variances.length;
  const { normal } = generator(seed, 'null-rows', n, d);
  const sd = variances.map(Math.sqrt);
  return Float32Array.from({ length: n * d }, (_, i) => sd[i % d] * normal());
}

/** The null curve from points in any order: descending in `rows`, and never less stable with fewer of them. */
export function nullStability(points: readonly { rows: number; mean: number }[]): NullStability {
  const sorted = points.toSorted((p, q) => q.rows - p.rows);
  let most = 0;
  const mean = sorted.map((point) => (most = Math.max(most, point.mean)));
  return { rows: sorted.map(({ rows }) => rows), mean };
}

/** The stability by chance of clusters of so many rows: linear in their logarithm, constant beyond the ends. */
export function chanceAt({ rows, mean }: NullStability, size: number): number {
  const next = rows.findIndex((own) => own <= size);
  if (next === 0) return mean[0];
  if (next < 0) return mean.at(-1)!;
  const [a, b] = [Math.log(rows[next - 1]), Math.log(rows[next])];
  const share = a > b ? (a - Math.log(size)) / (a - b) : 0;
  return mean[next - 1] + share * (mean[next] - mean[next - 1]);
}

export const comparedTo = <S extends StabilityEstimate>(chance: number, found: S): S & ComparedStability => ({
  ...found,
  beyond: { mean: beyondChance(found.mean, chance), error: found.error / (1 - chance) },
});

/** Stability beyond chance: 1 where replicates agree entirely, 0 where they agree as those of a single Gaussian do. */
const beyondChance = (mean: number, chance: number): number => (mean - chance) / (1 - chance);

/** How many dimensions rows have, whatever the number of their columns. */

/** The share of the ratios, the largest, that `twoNearestNeighbours` censors (as many as Facco et al. discard). */
const DISCARDED = 0.1;

/**
 * The intrinsic dimension by the two-nearest-neighbours estimator (Facco, d'Errico, Rodriguez & Laio, *Estimating the intrinsic
 * dimension of datasets by a minimal neighborhood information*, 2017): where density hardly changes up to the second neighbour,
 * log(r₂/r₁) is exponentially distributed with rate d. The largest tenth of the ratios is censored, as they come from rows for
 * which that does not hold, and d maximises the likelihood that remains: m/(Σ_{i≤m} log μ_i + (N − m)·log μ_m) for the m
 * smallest of N ratios μ (type II censoring). It is too low in many dimensions, where most rows are near the edge of where
 * there are rows: about 7 in a cube of 8 dimensions.
 * Rows that have a duplicate (r₁ = 0) or two neighbours as near (r₂ = r₁), as in whole numbers, are left out.
 *
 * @param distance [n, k], each row ascending and without the row itself; k ≥ 2, RangeError otherwise
 * @returns 0 if no rows are left
 */
export function twoNearestNeighbours(distance: Float32Array, k: number): number {
  if (!(k >= 2) || distance.length % k) throw new RangeError(`${distance.length} distances in rows of ${k}`);
  const logs = new Float64Array(distance.length / k);
  let n = 0;
  for (let e = 0; e < distance.length; e += k)
    if (distance[e] > 0 && distance[e + 1] > distance[e]) logs[n++] = Math.log(distance[e + 1] / distance[e]);
  if (n === 0) return 0;
  const sorted = logs.subarray(0, n).sort();
  const m = Math.ceil((1 - DISCARDED) * n);
  let sum = 0;
  for (let i = 0; i < m; i++) sum += sorted[i];
  return m / (sum + (n - m) * sorted[m - 1]);
}
