/** k-means++ and Lloyd in pieces that need from each shard only one candidate row, or sums. */

type Rows = Float32Array | Float64Array;

/** ‖x − centre‖² of the row x[offset .. offset + d). */
export function squaredDistance(x: Rows, offset: number, centre: Float64Array, d: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += (x[offset + i] - centre[i]) ** 2;
  return sum;
}

/** Index of the centre nearest to the row x[offset .. offset + d), the first of equals. */
export function nearestCentre(x: Rows, offset: number, centres: Float64Array[], d: number): number {
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

/** Index drawn with probability ∝ weight by a uniform number of [0, 1); uniformly when all weights are zero. */
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
 * A shard's part in one k-means++ step over its n×D rows: the total D² weight and one row index drawn by it.
 * The coordinator takes the candidate of the shard that `chooseByWeight` of the totals names: together a D² draw
 * over all rows. Without centres every row weighs 1; a shard without rows has no candidate. `known` has the weights for
 * the first of the centres, from an earlier step.
 */
export function seedCandidate(
  rows: Rows,
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

/** One Lloyd update from the sums over all shards; a centre that no row is nearest to stays. */
export function lloydCentres(
  sums: { n: number; s: Float64Array }[],
  previous: Float64Array[],
): Float64Array[] {
  return sums.map(({ n, s }, k) => (n > 0 ? s.map((v) => v / n) : previous[k]));
}
