import { type Centres, centreWidth, distanceFrom } from './centres.ts';

/** The clusters whose centres are nearest to that of one cluster, by its own covariance; only the first `k` are looked at. */
export function nearestCentres(
  centres: Centres,
  cluster: number,
  k: number,
  most: number,
): { cluster: number; distance: number }[] {
  const width = centreWidth(centres.d, centres.covariance);
  return Array.from({ length: k }, (_, other) => ({
    cluster: other,
    distance: distanceFrom(centres, cluster, centres.values, other * width),
  }))
    .filter(({ cluster: other }) => other !== cluster)
    .sort((a, b) => a.distance - b.distance || a.cluster - b.cluster)
    .slice(0, most);
}
