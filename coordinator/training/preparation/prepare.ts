import { kebabCase } from '../../../base/text.ts';
import { UserError } from '../../../base/user-error.ts';
import { HASH_BYTES } from '../../../data/blocks.ts';
import { columnCalled } from '../../../data/column-names.ts';
import type { Fences } from '../../../data/fences.ts';
import { formatNumber } from '../../../data/value-range.ts';
import type { Layout } from '../../../model/layout.ts';
import { halfSize } from '../../../model/sampling/halves.ts';
import { fastSchedule, paperSchedule } from '../../../model/schedule.ts';
import { nd } from '../../../proto/tensors.ts';
import type { Emit } from '../../../view/events.ts';
import { changedOptions, type RunConfig } from '../../config.ts';
import type { Dispatcher } from '../../scheduler/dispatcher.ts';
import type { Calculate } from '../calculation/calculator.ts';
import { gaussianLikelihood } from '../gaussian/gaussian.ts';
import { graphLikelihood } from '../graph/graph.ts';
import { graphSource } from '../graph/neighbour-graph.ts';
import { publishTransform } from '../publish.ts';
import type { DataMoments } from '../reading/moments.ts';
import { checkColumns } from '../reading/precision.ts';
import { createRounds, shardSizes } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import { sampleOf, sampleThreshold } from '../sample.ts';
import { graphCost } from './cost.ts';
import { chooseLikelihood } from './likelihood.ts';
import { checkGraph, mostClusters } from './limits.ts';

export interface PrepareInput {
  config: RunConfig;
  layout: Layout;
  dispatcher: Dispatcher;
  calculate: Calculate;
  emit: Emit;
  warn: (message: string) => void;
  /** Of the columns of the data; null where they have none. */
  names: readonly string[] | null;
  /** Columns are the pixels of images. */
  arePixels?: boolean;
}

/** With the graph likelihood, the mixture only describes the clusters: in few numbers, and as they are. */
const DESCRIPTION = {
  covariance: 'diag',
  priorScaleChoice: 'data-cov',
  priorScale: 1e-3,
  priorNu: null,
} as const;

/** In so many, such as those of UMAP, most clusters are blobs, whose graph has no gaps: USPS had 22 clusters in place of 10. */
const FEW_DIMENSIONS = 10;

/** Options of the Gaussian likelihood alone. */
const WITHOUT_EFFECT = [
  ...(['alpha', 'covariance', 'priorScaleChoice', 'priorNu', 'priorKappa', 'coarsening'] as const),
  ...(['initK', 'clusterLoss'] as const),
];

/**
 * Derives likelihood, transform, prior and coarsening from moments and sample, and publishes the states that every round reads.
 * UserError if data, sample and config do not go together.
 */
export async function prepare(input: PrepareInput, data: DataMoments): Promise<Run> {
  const { moments, sampleRows, hashes, fences } = data;
  const { layout, dispatcher, calculate, emit, warn } = input;
  checkColumns(input.config, moments, input.names, warn);
  const n = sampleRows.reduce((a, b) => a + b, 0);
  if (n === 0)
    throw new UserError(
      `--sample ${input.config.sample}: none of the ${layout.rows} rows was drawn; use a larger sample`,
    );
  dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
  const { likelihood: name, why, transform, covariance } = await chooseLikelihood(input, data);
  const isGraph = name === 'graph';
  const config = isGraph ? { ...input.config, ...DESCRIPTION } : input.config;
  const d = transform.dim;
  if (isGraph) {
    checkGraph(config, n, d);
    // Codes of an encoder have all shapes.
    const warnings = [config.encoder === 'none' ? inFewDimensions(d) : null, graphCost(config, n, d)];
    for (const warning of warnings) if (warning) warn(warning);
    const unused = changedOptions(input.config, WITHOUT_EFFECT).map((name) => `--${kebabCase(name)}`);
    if (unused.length)
      warn(`the graph likelihood does not use ${unused.join(', ')}; --likelihood gaussian does`);
  } else {
    checkInitK(config, n, d);
    if (config.resolution !== null)
      warn('a Gaussian mixture does not use --resolution; --likelihood graph does');
  }
  const prior = await calculate('priorOf', config, d, covariance);
  if (fences) warn(`${config.data}: ${aboutFences(fences, input.names)}`);
  const below = sampleThreshold(config, layout);
  publishTransform({ dispatcher, transform }, below);
  return {
    likelihood: isGraph
      ? graphLikelihood(graphSource({ dispatcher, calculate, d, layout }))
      : gaussianLikelihood(config.initK),
    why,
    config,
    schedule: (config.schedule === 'paper' ? paperSchedule : fastSchedule)(config.splitMergeEvery),
    seed: BigInt(config.seed),
    d,
    covariance,
    prior,
    layout,
    sample: sampleOf(below, sampleRows),
    transform,
    dispatcher,
    rounds: createRounds(dispatcher, shardSizes(layout), d, config.covariance),
    calculate,
    emit,
  };
}

/** A warning where the graph likelihood was asked for in so few dimensions that Gaussians do better. */
const inFewDimensions = (d: number): string | null =>
  d > FEW_DIMENSIONS
    ? null
    : `the graph likelihood is for rows of many columns: in ${d} it may cut clusters into pieces, or find none; --likelihood gaussian is for these`;

/** UserError unless there are rows for so many initial clusters, and messages for their statistics. */
function checkInitK(config: RunConfig, n: number, d: number): void {
  const { initK } = config;
  if (initK > n)
    throw new UserError(`--init-k ${initK} is more than the ${n} rows in the sample (--sample); lower it`);
  const most = mostClusters(d, config.covariance);
  if (initK > most)
    throw new UserError(
      `--init-k ${initK} is more than the ${most} clusters that ${config.covariance} covariance in ${d} dimensions allows; lower it`,
    );
  if (config.replicates && initK > halfSize(n))
    throw new UserError(
      `--init-k ${initK} is more than half of the ${n} rows in the sample, on which --replicates train; lower it`,
    );
}

/** Of the columns with outliers so many are named. */
const MOST_NAMED = 3;

function aboutFences({ columns, low, high }: Fences, names: readonly string[] | null): string {
  const limits = Array.from(
    columns.subarray(0, MOST_NAMED),
    (column, c) =>
      `${columnCalled(names, column)} below ${formatNumber(low[c])} or above ${formatNumber(high[c])}`,
  );
  const more =
    columns.length > MOST_NAMED ? `, or far off in ${columns.length - MOST_NAMED} more columns` : '';
  return `rows with ${limits.join(', ')}${more} are so far from all others that they would hide the clusters: they are labelled, but not trained on; outliers.npy says which they are`;
}
