import { dot, whitened, whitener } from './linalg.ts';
import type { Mixture } from './mixture.ts';

/** Two clusters, by index, and the squared distance of one's mean from the other, in standard deviations of the latter. */
export interface Pair {
  a: number;
  b: number;
  distance: number;
}

/**
 * Pairs in which one cluster's mean is among the `count` nearest of the other, by Mahalanobis distance: in standard deviations
 * of that cluster. Each pair once. O(K²·D²).
 */
export function nearestPairs({ k, d, means, covariances, covariance }: Mixture, count: number): Pair[] {
  const near = means.map((centre, a) => {
    const inverse = whitener(covariances[a], d, covariance);
    // Sorted insertion, as sorting all distances is slow for many clusters. Ties keep index order.
    const nearest: Pair[] = [];
    for (let b = 0; b < k; b++) {
      if (b === a) continue;
      const offset = whitened(
        inverse,
        means[b].map((value, i) => value - centre[i]),
      );
      const distance = dot(offset, offset);
      if (nearest.length === count && !(distance < nearest[count - 1].distance)) continue;
      const at = nearest.findIndex((other) => distance < other.distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, { a, b, distance });
      if (nearest.length > count) nearest.pop();
    }
    return nearest;
  });
  return near.flat().filter(({ a, b }) => a < b || !near[b].some((back) => back.b === a));
}
