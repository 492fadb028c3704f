import { MOST_CELLS } from '../model/cells.ts';
import { type Covariance, statisticsLength } from '../model/statistics.ts';
import { MAX_MESSAGE } from '../proto/task-limits.ts';

/** How many clusters fit in messages, and which splits are left where there would be more. */

/** Batch size of the sub-nets, per cluster. */
export const SUB_BATCH = 16;

/** The statistics of so many sub-clusters of clusters fit in one message. */
export const mostParts = (d: number, covariance: Covariance) =>
  Math.floor(MAX_MESSAGE / Float64Array.BYTES_PER_ELEMENT / statisticsLength(d, covariance));

/**
 * The most clusters that a run may have: the statistics of two sub-clusters of each, and what their sub-nets compute, have to fit in
 * one message, and the cells of these sub-clusters in one task.
 */
export const mostClusters = (d: number, covariance: Covariance) =>
  Math.max(
    1,
    Math.min(
      Math.floor(mostParts(d, covariance) / 2),
      Math.floor(MAX_MESSAGE / Float64Array.BYTES_PER_ELEMENT / (SUB_BATCH / 2) / d),
      Math.floor(MOST_CELLS / 3),
    ),
  );

/** The splits, without those of the smallest log H if there would be more than `most` clusters. */
export function withinLimit<S extends { parts: { length: number }; logRatio: number }>(
  splits: (S | null)[],
  most: number,
): (S | null)[] {
  let room = most - splits.length;
  const best = splits.flatMap((split, k) => (split ? [{ k, split }] : []));
  best.sort((a, b) => b.split.logRatio - a.split.logRatio || a.k - b.k);
  const kept = new Set<number>();
  for (const { k, split } of best) {
    const more = split.parts.length - 1;
    if (more > room) continue;
    room -= more;
    kept.add(k);
  }
  return splits.map((split, k) => (kept.has(k) ? split : null));
}
