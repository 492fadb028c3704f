import { freemem } from 'node:os';
import { gigabytes } from '../../../base/text.ts';
import { UserError } from '../../../base/user-error.ts';
import type { Source } from '../../../data/source.ts';
import { MOST_FEATURE_AXES, pcaAxes } from '../../../data/transform.ts';
import { type Layout, layoutOf, layoutProblem, shardsFor } from '../../../model/layout.ts';
import { type Covariance, statisticsLength } from '../../../model/statistics.ts';
import { MAX_MESSAGE } from '../../../proto/codec.ts';
import { MOST_CELLS } from '../../../proto/tasks.ts';
import type { RunConfig } from '../../config.ts';
import { isUndecided, MOST_EXACT, momentsCovariance } from '../reading/undecided.ts';

/** Batch size of the sub-nets, per cluster. */
export const SUB_BATCH = 16;

/**
 * UserError if the covariance matrices do not fit in `free` bytes: the moments of all shards at once, or the statistics of
 * at least 20 clusters for all shards, in float64.
 */
export function checkMemory(
  config: RunConfig,
  { dim, shards }: Pick<Layout, 'dim' | 'shards'>,
  free = freemem(),
): void {
  // Codes are short.
  if (config.encoder !== 'none') return;
  if (isUndecided(config, dim)) {
    checkSampleCovariance(config, dim, shards, free);
    return;
  }
  const d = pcaAxes(config.transform) ?? dim;
  const covariance = config.likelihood === 'graph' ? 'diag' : config.covariance;
  const clusters = Math.max(20, config.initK);
  const moments = statisticsLength(dim, momentsCovariance(config, dim)) * 8 * shards;
  const statistics = statisticsLength(d, covariance) * 8 * clusters * shards;
  const needed = Math.max(moments, statistics);
  if (needed <= free) return;
  // Principal axes need the covariance of all columns first.
  const allows = statisticsLength(dim, 'full') * 8 * shards <= free;
  const remedy = allows
    ? '--covariance diag or --transform pca:32'
    : `${d === dim ? '' : '--transform standard with '}--covariance diag, or reduce the columns first, such as with an embedding`;
  throw new UserError(
    `${config.data}: ${covariance} covariance in ${dim} dimensions needs about ${gigabytes(needed)} of memory, ${gigabytes(free)} are free; use ${remedy}`,
  );
}

/** More columns would make samples of many gigabytes. */
const MOST_COLUMNS = 1 << 14;

/** For each shard's sum there may be another that is being added to it, here or on a worker of this machine. */
function checkSampleCovariance({ data }: RunConfig, dim: number, shards: number, free: number): void {
  const remedy =
    'reduce them first, such as with an embedding, or use --transform standard with --covariance diag';
  if (dim > MOST_COLUMNS)
    throw new UserError(`${data}: ${dim} columns are more than ${MOST_COLUMNS}; ${remedy}`);
  const needed = 2 * shards * 8 * Math.min(dim, MOST_EXACT) ** 2;
  if (needed > free)
    throw new UserError(
      `${data}: the covariance of ${dim} columns in ${shards} shards needs about ${gigabytes(needed)} of memory, ${gigabytes(free)} are free; lower --shards, ${remedy}`,
    );
}

/** Bytes of the graph for a row: of up to 2·20 edges, 4 + 8. */
const GRAPH_BYTES = 480;
/** For fewer clusters, the graph likelihood is not worth a try. */
const ENOUGH_CLUSTERS = 100;

/** UserError if features and graph of so many sample rows, or what is summed of clusters, do not fit in a message, or if there are too few rows. */
export function checkGraph({ data, sample }: RunConfig, rows: number, d: number): void {
  if (rows < 3)
    throw new UserError(
      `${data}: the graph likelihood needs at least 3 rows in the sample, there are ${rows}; use --likelihood gaussian`,
    );
  const most = Math.floor(MAX_MESSAGE / Math.max(4 * d, GRAPH_BYTES));
  if (rows > most)
    throw new UserError(
      `${data}: the neighbour graph of ${rows.toLocaleString('en')} rows does not fit in a message; use a sample of at most ${most.toLocaleString('en')}, such as the default (--sample ${sample} was given)`,
    );
  if (mostClusters(d, 'full') < ENOUGH_CLUSTERS)
    throw new UserError(
      `${data}: ${d.toLocaleString('en')} columns are too many for the graph likelihood; leave out --transform, which then makes up to ${MOST_FEATURE_AXES} of them`,
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
  const shards = shardsFor(config.shards, source.rows);
  if (source.rows < shards)
    throw new UserError(
      `${config.data} has ${source.rows} rows, fewer than --shards ${shards}; lower it, or leave it out`,
    );
  const layout = layoutOf(source.rows, source.dim, shards, config.seed);
  const problem = layoutProblem(layout);
  if (problem) throw new UserError(`${config.data} in ${shards} shards: ${problem}`);
  return layout;
}
