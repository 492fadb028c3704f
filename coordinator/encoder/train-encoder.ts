import { UserError } from '../../base/user-error.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import type { Autoencoder } from '../../model/nets/autoencoder.ts';
import type { Task } from '../../proto/tasks.ts';
import { nd } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import { areEncoderSums, hasDiverged } from '../training/plausible.ts';
import { sumOf } from '../training/rounds.ts';

/** The state of training between two epochs. */
export interface EncoderState extends Autoencoder {
  /** Complete epochs. */
  readonly epoch: number;
  /** Mean over the last epoch's steps of ‖output − input‖², as a share of the variance of the inputs; null before the first. */
  readonly loss: number | null;
}

export interface EncoderTraining {
  config: RunConfig;
  layout: Layout;
  dispatcher: Dispatcher;
  /** Sum of the variances of the encoder's inputs. */
  variance: number;
}

export function publishEncoder(dispatcher: Dispatcher, { widths, params }: Autoencoder): void {
  dispatcher.publish('encoder', { params: nd(params), widths: nd(Int32Array.from(widths)) });
}

/** Rounds of an epoch: each shard takes about --encoder-steps local steps in each. */
export function roundsPerEpoch(
  { encoderBatch, encoderSteps }: Pick<RunConfig, 'encoderBatch' | 'encoderSteps'>,
  { rows, shards }: Pick<Layout, 'rows' | 'shards'>,
): number {
  const steps = rows / shards / encoderBatch;
  return Math.max(1, Math.round(steps / encoderSteps));
}

/**
 * One epoch: in each round all shards train from the same weights on the next part of their rows, and their weights are
 * averaged (local SGD; McMahan et al., AISTATS 2017). Adam's moments start at zero in each round, so that a worker needs nothing
 * but the weights. UserError if training diverges.
 */
export async function encoderEpoch(
  { config, layout, dispatcher, variance }: EncoderTraining,
  { widths, params, epoch }: EncoderState,
): Promise<EncoderState> {
  const { encoderBatch: batch, encoderLr: rate, encoderNoise: noise, encoderEpochs } = config;
  const shards = shardBlocks(layout);
  // Each has at least one block of each shard.
  const rounds = Math.min(roundsPerEpoch(config, layout), ...shards.map(({ length }) => length));
  let weights = params;
  let loss = 0;
  for (let round = 0; round < rounds; round++) {
    publishEncoder(dispatcher, { widths, params: weights });
    const place = (blocks: number, part: number) => Math.floor((part * blocks) / rounds);
    const units = shards.map(({ length }, shard) => ({
      shard,
      from: place(length, round),
      to: place(length, round + 1),
    }));
    const task: Task = {
      ...{ task: 'encoder-steps', epoch: epoch + 1, batch, rate, noise },
      done: epoch * rounds + round,
      total: encoderEpochs * rounds,
    };
    const results = await dispatcher.round({
      tasks: [task],
      uses: ['encoder', 'encoder-input', 'hashes'],
      units,
      streams: false,
      sum: true,
      expects: () => [{ params: ['float64', params.length], loss: ['float64', 1] }],
      isSound: ([result], { length }) => areEncoderSums(result, length),
      hasDiverged: ([result]) => hasDiverged(task, result),
    });
    const sum = await sumOf(results, 0, 'params');
    weights = Float32Array.from(sum, (value) => value / units.length);
    if (!weights.every(Number.isFinite))
      throw new UserError(`the encoder diverges: use a lower --encoder-lr than ${rate}`);
    loss += (await sumOf(results, 0, 'loss'))[0] / units.length / rounds;
  }
  return { widths, params: weights, epoch: epoch + 1, loss: loss / variance };
}
