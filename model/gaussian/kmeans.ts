import type { FloatArray } from '../arrays.ts';

/** k-means++ and Lloyd's algorithm: the parts of a shard, and what the coordinator makes of them. */

/** ‖x − centre‖² of the row x[offset .. offset + d). */
export function squaredDistance(x: FloatArray, offset: number, centre: Float64Array, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += (x[offset + i] - centre[i]) ** 2;
  return sum;
}

/** Index of the centre nearest to the row x[offset .. offset + d), the first one on a tie. */
export function nearestCentre(x: FloatArray, offset: number, centres: Float64Array[], d: number): number {
  let best = 0;
  let least = Infinity;
  for (let k = 0; k < centres.length; k++) {
    const distance = squaredDistance(x, offset, centres[k], d);
    if (distance < least) {
      least = distance;
      best = k;
    }
  }
  return best;
}

/** Index drawn with probability ∝ weight, given a uniform number in [0, 1); uniformly when all weights are zero. */
export function chooseByWeight(weights: ArrayLike<number>, uniform: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  if (total === 0) return Math.floor(uniform * weights.length);
  let left = uniform * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    if (left < weights[i]) return i;
    left -= weights[i];
  }
  return last;
}

/**
 * A shard's part of one step of k-means++ (Arthur & Vassilvitskii 2007; docs/algorithm.md, section 4): the total D² weight of its n×D rows and one row index drawn by D². The
 * coordinator then draws a shard by `chooseByWeight` on the totals and takes its candidate: together a D² draw over all
 * rows. Without centres every row has weight 1. Null for a shard without rows.
 *
 * @param known the rows' weights for the first `known.centres` centres, from an earlier step
 */
export function seedCandidate(
  rows: FloatArray,
  d: number,
  centres: Float64Array[],
  uniform: number,
  known: { centres: number; weights: Float64Array } | null = null,
): { weight: number; row: number; weights: Float64Array } | null {
  if (rows.length === 0) return null;
  const added = centres.slice(known?.centres ?? 0);
  const weights = Float64Array.from({ length: rows.length / d }, (_, i) => {
    if (!centres.length) return 1;
    const before = known?.centres ? known.weights[i] : Infinity;
    if (!added.length) return before;
    return Math.min(before, squaredDistance(rows, i * d, added[nearestCentre(rows, i * d, added, d)], d));
  });
  return { weight: weights.reduce((a, b) => a + b, 0), row: chooseByWeight(weights, uniform), weights };
}

/** One Lloyd update from the counts and sums over all shards; a centre without rows stays where it was. */
export function lloydCentres(
  sums: { n: number; s: Float64Array }[],
  previous: Float64Array[],
): Float64Array[] {
  return sums.map(({ n, s }, k) => (n > 0 ? s.map((v) => v / n) : previous[k]));
}
