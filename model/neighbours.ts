import { squaredDistance } from './kmeans.ts';

/** Two points, by index, and their squared distance. */
export interface Pair {
  a: number;
  b: number;
  distance: number;
}

/** Pairs in which one point is among the other's `count` nearest, each pair once. O(K²·D). */
export function nearestPairs(points: Float64Array[], count: number): Pair[] {
  const d = points[0].length;
  const near = points.map((point, a) => {
    // Sorted insertion, as sorting all distances is slow for many points. Ties keep index order.
    const nearest: Pair[] = [];
    for (const [b, other] of points.entries()) {
      if (b === a) continue;
      const distance = squaredDistance(point, 0, other, d);
      if (nearest.length === count && !(distance < nearest[count - 1].distance)) continue;
      const at = nearest.findIndex((other) => distance < other.distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, { a, b, distance });
      if (nearest.length > count) nearest.pop();
    }
    return nearest;
  });
  return near.flat().filter(({ a, b }) => a < b || !near[b].some((back) => back.b === a));
}
