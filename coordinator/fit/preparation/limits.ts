import { freemem } from 'node:os';
import { gigabytes, roughDuration } from '../../../base/quantities.ts';
import { UserError } from '../../../base/user-error.ts';
import type { Source } from '../../../data/source.ts';
import { pcaAxes, pcaShare } from '../../../data/transform-choice.ts';
import { type Layout, layoutOf, layoutProblem, shardsFor } from '../../../model/layout.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { RunConfig } from '../../../run/config.ts';
import {
  isGraph,
  isOfCodes,
  isUndecided,
  MOST_EXACT,
  mayBeGraph,
  momentsCovariance,
} from '../reading/moments.ts';

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
  const covariance = isGraph(config, dim) ? 'diag' : config.covariance;
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

/** The run's layout. UserError if there are fewer rows than shards, or workers would reject the layout. `isUpdate`: there are other rows. */
export function layoutFor(config: RunConfig, source: Source, isUpdate = false): Layout {
  if (source.rows < 2 && !isUpdate)
    throw new UserError(`${config.data} has 1 row; clustering needs at least 2`);
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

/**
 * Rows of a sample of latent vectors. It can be larger than one of rows, as it takes seconds after an encoder's minutes, and clusters depend less
 * on chance: MNIST's had K 10, 11 and 10 with 20,000 rows, 10 on all seeds with these.
 */
const SAMPLE_OF_CODES = 40_000;

/** Rows of the sample of a mixture in d dimensions: with 10,000, 3 of 50 clusters in 32 dimensions are lost. */
export const leastSample = (d: number) => Math.max(20_000, 1_000 * d);

/** A row is in the sample with which training begins if its priority, uniform in [0, 1), is below this. */
export function sampleThreshold(config: RunConfig, { rows, dim }: Layout): number {
  // Neighbours are searched in time that grows with the square of the rows.
  const d = mayBeGraph(config, dim) ? 0 : (pcaAxes(config.transform) ?? dim);
  const wanted = config.sample ?? (isOfCodes(config, dim) ? SAMPLE_OF_CODES : leastSample(d));
  return wanted === 0 ? 1 : Math.min(1, wanted / rows);
}

/** What a run costs by its options and the size of the data, for those who asked for more than they may know. */

/**
 * Seconds of one core, measured on one of 2024: for each number that a row adds to the E-step and the sums of a cluster; and for D³ of a
 * cluster. Of 5 clusters in 36 epochs, they say .11 and .57 s
 * for each where .13 (5,000 × 384) and .49 (6,000 × 768) were measured.
 */
export const [SUM, CUBE] = [2.5e-10, 3e-10];
/** An ordinary run. */
const [CLUSTERS, EPOCHS] = [10, 50];
/** Such a run may take so long without a word, in seconds. */
const LONG = 120;
const MEGA = 1e6;

/** A warning where full covariance in so many columns will take long; null if it will not, or the data have yet to decide. */
export function gaussianCost(config: RunConfig, { rows, dim, ...layout }: Layout): string | null {
  const { transform, likelihood, covariance, schedule } = config;
  const axes = pcaAxes(transform);
  const d = axes ?? dim;
  // How many axes hold a share is known once the rows are read.
  if (config.encoder !== 'none' || pcaShare(transform) !== null) return null;
  if (covariance !== 'full' || isGraph(config, dim) || isUndecided(config, dim)) return null;
  const sampled = rows * sampleThreshold(config, { rows, dim, ...layout });
  const numbers = statisticsLength(d, covariance);
  const seconds = SUM * sampled * numbers + CUBE * d ** 3;
  const all = seconds * CLUSTERS * EPOCHS;
  if (all < LONG) return null;
  const isAsked = likelihood === 'gaussian' && schedule !== 'paper' && axes === null;
  const remedies = [
    ...(isAsked ? ['leave out --likelihood gaussian'] : []),
    `use --transform pca:16${axes === null ? ' or --covariance diag' : ''}`,
  ];
  return `full covariance in ${count(d)} ${axes === null ? 'columns' : 'axes'} is ${count(numbers - 1)} parameters for each cluster (${((8 * numbers) / MEGA).toFixed(1)} MB in each of ${layout.shards} shards) and takes about ${roughDuration(seconds)} of a core for each cluster in each epoch: ${roughDuration(all)} for ${CLUSTERS} clusters in ${EPOCHS} epochs; if that is too long, ${remedies.join(', or ')}`;
}

const count = (value: number) => Math.round(value).toLocaleString('en');
