import { isDiagonal, whitener } from '../linalg.ts';
import type { Mixture } from '../mixture.ts';

/** Which clusters of a mixture are near each other: those of which merges are proposed. */

/** Two clusters, by index, and the squared distance of one's mean from the other, in standard deviations of the latter. */
export interface Pair {
  a: number;
  b: number;
  distance: number;
}

/**
 * Pairs in which one cluster's mean is among the `count` nearest of the other, by Mahalanobis distance: in standard deviations
 * of that cluster. Each pair once. O(K²·D²) at most.
 */
export function nearestPairs({ k, d, means, covariances, covariance }: Mixture, count: number): Pair[] {
  const near = means.map((centre, a) => {
    const inverse = whitener(covariances[a], d, covariance);
    // Sorted insertion, as sorting all distances is slow for many clusters. Ties keep index order.
    const nearest: Pair[] = [];
    for (let b = 0; b < k; b++) {
      if (b === a) continue;
      const limit = nearest.length === count ? nearest[count - 1].distance : Infinity;
      const distance = distanceBelow(limit, means[b], centre, inverse);
      if (!(distance < limit)) continue;
      const at = nearest.findIndex((other) => distance < other.distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, { a, b, distance });
      if (nearest.length > count) nearest.pop();
    }
    return nearest;
  });
  return near.flat().filter(({ a, b }) => a < b || !near[b].some((back) => back.b === a));
}

/** ‖inverse·(x − centre)‖², or some number from `limit` on if it is not below that. */
function distanceBelow(limit: number, x: Float64Array, centre: Float64Array, inverse: Float64Array): number {
  const d = x.length;
  let distance = 0;
  for (let i = 0; i < d && distance < limit; i++) {
    let u = 0;
    if (isDiagonal(inverse, d)) u = inverse[i] * (x[i] - centre[i]);
    else for (let j = 0; j <= i; j++) u += inverse[i * d + j] * (x[j] - centre[j]);
    distance += u * u;
  }
  return distance;
}
