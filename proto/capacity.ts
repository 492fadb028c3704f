import { type Covariance, statisticsLength } from '../model/statistics.ts';
import { MOST_CELLS } from './partition.ts';
import { MAX_MESSAGE } from './task-limits.ts';

/** How many clusters fit in messages. */

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
