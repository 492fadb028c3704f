import { freemem } from 'node:os';
import { UserError } from '../../base/user-error.ts';
import type { Source } from '../../data/source.ts';
import { pcaAxes } from '../../data/transform.ts';
import { type Layout, layoutOf, layoutProblem } from '../../model/layout.ts';
import { type Covariance, statisticsLength } from '../../model/statistics.ts';
import { MAX_MESSAGE } from '../../proto/codec.ts';
import { MOST_CELLS } from '../../proto/tasks.ts';
import type { RunConfig } from '../config.ts';

const GIGA = 2 ** 30;
/** Batch size of the sub-nets, per cluster. */
export const SUB_BATCH = 16;

/**
 * UserError if the covariance matrices do not fit in `free` bytes: the moments of all shards at once, or the statistics of
 * at least 20 clusters for all shards, in float64.
 */
export function checkMemory(config: RunConfig, dim: number, free = freemem()): void {
  const d = pcaAxes(config.transform) ?? dim;
  const clusters = Math.max(20, config.initK);
  const moments =
    (config.covariance === 'full' || d !== dim ? statisticsLength(dim, 'full') : dim) * 8 * config.shards;
  const statistics = statisticsLength(d, config.covariance) * 8 * clusters * config.shards;
  const needed = Math.max(moments, statistics);
  if (needed <= free) return;
  const gigabytes = (bytes: number) => `${(bytes / GIGA).toFixed(1)} GB`;
  throw new UserError(
    `${config.data}: ${config.covariance} covariance in ${dim} dimensions needs about ${gigabytes(needed)} of memory, ${gigabytes(free)} are free; use --covariance diag or --transform pca:32`,
  );
}

/** The statistics of so many parts of clusters fit in one message. */
export const mostParts = (d: number, covariance: Covariance) =>
  Math.floor(MAX_MESSAGE / Float64Array.BYTES_PER_ELEMENT / statisticsLength(d, covariance));

/**
 * The most clusters that a run may have: the statistics of two parts of each, and what their sub-nets compute, have to fit in
 * one message, and the cells of these parts in one task.
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

/** The run's layout. UserError if there are fewer rows than shards, or workers would reject the layout. */
export function layoutFor(config: RunConfig, source: Source): Layout {
  if (source.rows < 2) throw new UserError(`${config.data} has 1 row; clustering needs at least 2`);
  if (config.initK > source.rows)
    throw new UserError(`--init-k ${config.initK} is more than the ${source.rows} rows of ${config.data}`);
  if (source.rows < config.shards)
    throw new UserError(
      `${config.data} has ${source.rows} rows, fewer than the ${config.shards} shards; lower --shards`,
    );
  const layout = layoutOf(source.rows, source.dim, config.shards, BigInt(config.seed));
  const problem = layoutProblem(layout);
  if (problem) throw new UserError(`${config.data} in ${config.shards} --shards: ${problem}`);
  return layout;
}
