import { pcaAxes, pcaShare } from '../../../data/transform.ts';
import type { Layout } from '../../../model/layout.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { RunConfig } from '../../config.ts';
import { isUndecided } from '../reading/undecided.ts';
import { sampleThreshold } from '../sample.ts';

/** What a run costs by its options and the size of the data, for those who asked for more than they may know. */

/**
 * Seconds of one core, measured on one of 2024: for each number that a row adds to the E-step and the sums of a cluster; for D³ of a
 * cluster; and for each difference of two coordinates in the search for neighbours. Of 5 clusters in 36 epochs, they say .11 and .57 s
 * for each where .13 (5,000 × 384) and .49 (6,000 × 768) were measured.
 */
export const [SUM, CUBE, DIFFERENCE] = [2.5e-10, 3e-10, 1e-10];
/** An ordinary run. */
const [CLUSTERS, EPOCHS] = [10, 50];
/** Such a run may take so long without a word, in seconds. */
const LONG = 120;
/** So may a graph of so many rows. */
const MANY_ROWS = 150_000;
const MEGA = 1e6;

/** A warning where full covariance in so many columns will take long; null if it will not, or the data have yet to decide. */
export function gaussianCost(config: RunConfig, { rows, dim, ...layout }: Layout): string | null {
  const { transform, likelihood, covariance, schedule } = config;
  const axes = pcaAxes(transform);
  const d = axes ?? dim;
  // How many axes hold a share is known once the rows are read.
  if (config.encoder !== 'none' || pcaShare(transform) !== null) return null;
  if (covariance !== 'full' || likelihood === 'graph' || isUndecided(config, dim)) return null;
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
  return `full covariance in ${count(d)} ${axes === null ? 'columns' : 'axes'} is ${count(numbers - 1)} parameters for each cluster (${((8 * numbers) / MEGA).toFixed(1)} MB in each of ${layout.shards} shards) and takes about ${duration(seconds)} of a core for each cluster in each epoch: ${duration(all)} for ${CLUSTERS} clusters in ${EPOCHS} epochs; if that is too long, ${remedies.join(', or ')}`;
}

/** A warning where so large a sample was asked for that the search for neighbours will take long, among rows of `d` features; else null. */
export function graphCost({ sample }: Pick<RunConfig, 'sample'>, rows: number, d: number): string | null {
  if (sample === null || rows <= MANY_ROWS) return null;
  const differences = rows ** 2 * d;
  return `--sample ${sample}: the graph likelihood compares each of ${count(rows)} rows with all others, ${differences.toExponential(1).replace('+', '')} differences of coordinates, which take about ${duration(DIFFERENCE * differences)} of a core; if that is too long, leave --sample out, to train on 20,000 rows, or more where there are many clusters; all are labelled`;
}

const count = (value: number) => Math.round(value).toLocaleString('en');

const [MINUTE, HOUR] = [60, 3600];

/** A rough time, such as `40 s` or `3 h`. */
export function duration(seconds: number): string {
  const rounded = (value: number) => count(Number(value.toPrecision(value < 10 ? 1 : 2)));
  if (seconds < 1) return `${Number(seconds.toPrecision(1))} s`;
  if (seconds < 2 * MINUTE) return `${rounded(seconds)} s`;
  return seconds < 2 * HOUR ? `${rounded(seconds / MINUTE)} min` : `${rounded(seconds / HOUR)} h`;
}
