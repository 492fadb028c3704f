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
