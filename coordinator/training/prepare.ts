import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import type { Fences } from '../../data/fences.ts';
import { formatNumber } from '../../data/value-range.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { halfSize } from '../../model/sampling/halves.ts';
import { fastSchedule, paperSchedule } from '../../model/schedule.ts';
import { nd } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Calculate } from './calculation/calculator.ts';
import { mostClusters } from './limits.ts';
import { publishTransform } from './publish.ts';
import type { DataMoments } from './reading/moments.ts';
import { checkColumns } from './reading/precision.ts';
import { createRounds } from './rounds.ts';
import type { Run } from './run-context.ts';
import { sampleOf, sampleThreshold } from './sample.ts';

export interface PrepareInput {
  config: RunConfig;
  layout: Layout;
  dispatcher: Dispatcher;
  calculate: Calculate;
  emit: Emit;
  warn: (message: string) => void;
}

/**
 * Derives transform, prior and coarsening from the moments, and publishes the states that every round reads. UserError if
 * data, sample and config do not go together.
 */
export async function prepare(
  input: PrepareInput,
  { moments, sampleRows, hashes, fences }: DataMoments,
): Promise<Run> {
  const { config, layout, dispatcher, calculate, emit, warn } = input;
  checkColumns(config, moments, warn);
  const { transform, covariance } = await calculate('planTransform', config.transform, moments, fences);
  const d = transform.dim;
  const n = sampleRows.reduce((a, b) => a + b, 0);
  if (n === 0)
    throw new UserError(
      `--sample ${config.sample}: none of the ${layout.rows} rows was drawn; use a larger sample`,
    );
  if (config.initK > n)
    throw new UserError(
      `--init-k ${config.initK} is more than the ${n} rows in the sample (--sample); lower it`,
    );
  const most = mostClusters(d, config.covariance);
  if (config.initK > most)
    throw new UserError(
      `--init-k ${config.initK} is more than the ${most} clusters that ${config.covariance} covariance in ${d} dimensions allows; lower it`,
    );
  if (config.replicates && config.initK > halfSize(n))
    throw new UserError(
      `--init-k ${config.initK} is more than half of the ${n} rows in the sample, on which --replicates train; lower it`,
    );
  const prior = await calculate('priorOf', config, d, covariance);
  if (fences) warn(`${config.data}: ${aboutFences(fences)}`);
  const below = sampleThreshold(config, layout);
  publishTransform({ dispatcher, transform }, below);
  dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
  return {
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
    rounds: createRounds(
      dispatcher,
      shardBlocks(layout).map((blocks) => blocks.reduce((sum, { count }) => sum + count, 0)),
      d,
      config.covariance,
    ),
    calculate,
    emit,
  };
}

function aboutFences({ columns, low, high }: Fences): string {
  const more = columns.length > 1 ? ` (or far off in one of ${columns.length - 1} more)` : '';
  return `rows below ${formatNumber(low[0])} or above ${formatNumber(high[0])} in column ${columns[0]}, counted from 0${more}, are so far from all others that they would hide the clusters: they are labelled, but not trained on; outliers.npy says which they are`;
}
