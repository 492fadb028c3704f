import type { Fitted } from './fitted.ts';
import type { Proposal } from './history.ts';
import { occupied } from './views.ts';

/** A line of the table of clusters. */
export interface ClusterRow {
  cluster: number;
  /** Null where the run is not finished. */
  rows: number | null;
  weight: number;
  /** Standard deviation along an axis, in quadratic mean over all D. */
  spread: number;
  /** The cluster whose centre is nearest, and how far it is; null if there is none, or there are too many to compare. */
  nearest: { cluster: number; distance: number } | null;
  /** log H of splitting it in the last split step; null: not known. */
  logRatio: number | null;
}

/** Differences of coordinates that may be taken to find neighbours. */
const MOST_WORK = 2e8;

export function clusterTable(fitted: Fitted, splits: Proposal[]): ClusterRow[] {
  const { mixture, counts } = fitted;
  const { d, means, covariances, weights } = mixture;
  const clusters = occupied(fitted).sort((a, b) => a - b);
  const ratios = new Map(splits.map(({ cluster, logRatio }) => [cluster, logRatio]));
  const affordable = clusters.length ** 2 * d <= MOST_WORK;
  return clusters.map((cluster) => {
    const covariance = covariances[cluster];
    let trace = 0;
    for (let i = 0; i < d; i++) trace += covariance[covariance.length === d ? i : i * d + i];
    return {
      cluster,
      rows: counts?.[cluster] ?? null,
      weight: weights[cluster],
      spread: Math.sqrt(trace / d),
      nearest: affordable ? nearestTo(cluster, clusters, means) : null,
      logRatio: ratios.get(cluster) ?? null,
    };
  });
}

function nearestTo(cluster: number, clusters: number[], means: Float64Array[]): ClusterRow['nearest'] {
  let best: ClusterRow['nearest'] = null;
  for (const other of clusters) {
    if (other === cluster) continue;
    let sum = 0;
    means[cluster].forEach((value, i) => {
      sum += (value - means[other][i]) ** 2;
    });
    const distance = Math.sqrt(sum);
    if (!best || distance < best.distance) best = { cluster: other, distance };
  }
  return best;
}
