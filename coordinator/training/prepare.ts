import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import { pcaAxes } from '../../data/transform.ts';
import { halfSize } from '../../model/halves.ts';
import { coarsening } from '../../model/hastings.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { fastSchedule, paperSchedule } from '../../model/schedule.ts';
import { nd } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Calculate } from './calculation/calculator.ts';
import { mostClusters } from './limits.ts';
import type { DataMoments } from './moments.ts';
import { checkColumns } from './precision.ts';
import { publishTransform } from './publish.ts';
import { createRounds } from './rounds.ts';
import type { Run } from './run-context.ts';

/** A row is in the sample if its priority, uniform in [0, 1), is below this. */
export function sampleThreshold(config: RunConfig, { rows, dim }: Layout): number {
  const wanted = config.sample ?? Math.max(20_000, 1_000 * (pcaAxes(config.transform) ?? dim));
  return wanted === 0 ? 1 : Math.min(1, wanted / rows);
}

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
  { moments, sampleRows, hashes }: DataMoments,
): Promise<Run> {
  const { config, layout, dispatcher, calculate, emit, warn } = input;
  checkColumns(config, moments, warn);
  const { transform, covariance } = await calculate('planTransform', config.transform, moments);
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
  dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
  publishTransform({ dispatcher, transform }, sampleThreshold(config, layout));
  return {
    config,
    schedule: (config.schedule === 'paper' ? paperSchedule : fastSchedule)(config.splitMergeEvery),
    seed: BigInt(config.seed),
    d,
    covariance,
    prior: await calculate('priorOf', config, d, covariance),
    sampled: n,
    zeta: coarsening(n, d, config.coarsening ?? undefined),
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
