import { UserError } from '../../base/user-error.ts';
import { HASH_BYTES } from '../../data/blocks.ts';
import type { Fences } from '../../data/fences.ts';
import { pcaAxes, type Transform } from '../../data/transform.ts';
import { formatNumber } from '../../data/value-range.ts';
import { coarsening } from '../../model/hastings.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { fastSchedule, paperSchedule } from '../../model/schedule.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Calculate } from './calculation/calculator.ts';
import type { DataMoments } from './moments.ts';
import { checkColumns } from './precision.ts';
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
  const prior = await calculate('priorOf', config, d, covariance);
  if (fences) warn(`${config.data}: ${aboutFences(fences)}`);
  dispatcher.publish('transform', transformState(transform, sampleThreshold(config, layout)));
  dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
  return {
    config,
    schedule: (config.schedule === 'paper' ? paperSchedule : fastSchedule)(config.splitMergeEvery),
    seed: BigInt(config.seed),
    d,
    covariance,
    prior,
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

function aboutFences({ columns, low, high }: Fences): string {
  const more = columns.length > 1 ? ` (or far off in one of ${columns.length - 1} more)` : '';
  return `rows below ${formatNumber(low[0])} or above ${formatNumber(high[0])} in column ${columns[0]}, counted from 0${more}, are so far from all others that they would hide the clusters: they are labelled, but not trained on; outliers.npy says which they are`;
}

function transformState(transform: Transform, threshold: number): Tensors {
  const { normalize, input, dim, columns, weights, bias, scale, offset, fences } = transform;
  return {
    shape: nd(Int32Array.of(normalize ? 1 : 0, input)),
    weights: columns ? nd(weights) : nd(weights, input, dim),
    bias: nd(bias),
    scale: nd(scale),
    offset: nd(offset),
    below: nd(Float64Array.of(threshold)),
    ...(columns && { columns: nd(columns) }),
    ...(fences && {
      fenced: nd(fences.columns),
      low: nd(fences.low),
      high: nd(fences.high),
      least: nd(fences.least),
      most: nd(fences.most),
    }),
  };
}
