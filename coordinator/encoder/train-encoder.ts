import { UserError } from '../../base/user-error.ts';
import { areFinite } from '../../model/arrays.ts';
import { type Layout, shardBlocks } from '../../model/layout.ts';
import { type Autoencoder, codeWidth } from '../../model/nets/autoencoder.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import { nd } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import { sumOf } from '../training/rounds.ts';
import type { CodeClusters } from './code-clusters.ts';

/** The state of training between two epochs. */
export interface EncoderState extends Autoencoder {
  /** Adam's moments of the params. */
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Steps of Adam that each shard has taken. */
  readonly steps: number;
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
  /** In an alternation: the clusters to whose centres codes are drawn. */
  clusters: CodeClusters | null;
}

/**
 * β/(2λ) of λ‖output − input‖² + (β/2)‖code − centre‖² with λ = .005 and β = 1, as in the alternation of DCN (Yang et al., ICML 2017) and
 * DeepDPM; codes in units in which their numbers have variance 1 on average.
 */
const PULL = 100;
/** The learning rate of an alternation, as a share of that before: the encoder is trained, and should not forget. */
const ALTERNATION_RATE = 0.5;

/** Passes over the rows, and the largest learning rate. */
export const passesOf = (
  { encoderEpochs, encoderLr, alternationEpochs }: RunConfig,
  alternation: number,
): { epochs: number; rate: number } =>
  alternation
    ? { epochs: alternationEpochs, rate: ALTERNATION_RATE * encoderLr }
    : { epochs: encoderEpochs, rate: encoderLr };

export function publishEncoder(dispatcher: Dispatcher, { widths, params }: Autoencoder): void {
  dispatcher.publish('encoder', { params: nd(params), widths: nd(Int32Array.from(widths)) });
}

/**
 * Shards of the training of an encoder: half of the run's. Nets of fewer shards take more steps in a pass, and fewer nets are averaged:
 * with four shards in place of eight, three passes over MNIST leave .29 of the variance in place of .36 (LOG.md).
 */
export const encoderShards = ({ shards }: Pick<Layout, 'shards'>) => Math.ceil(shards / 2);

/** Steps on each shard in the first round. */
const FIRST_STEPS = 4;

/**
 * Where the rounds of an epoch begin and end, as shares of it: 0 … 1. Each has about --encoder-steps local steps, but the first ones
 * are short, each twice as long as the one before: nets that differ much are worse on average than each of them, and as long as they
 * are far from any solution they soon differ much (post-local SGD: Lin et al., ICLR 2020). `steps`: those in earlier epochs.
 */
export function roundsOfEpoch(
  { encoderBatch, encoderSteps }: Pick<RunConfig, 'encoderBatch' | 'encoderSteps'>,
  { rows, shards }: Pick<Layout, 'rows' | 'shards'>,
  steps: number,
): number[] {
  const all = Math.max(1, Math.floor(rows / shards / encoderBatch));
  const cuts = [0];
  let at = 0;
  // What is less than a step is rounding error.
  while (at < all - 1e-6) {
    // 4, 8, 16 …: all rounds before add up to the length of the next one, less that of the first.
    const length = Math.min(encoderSteps, steps + at + FIRST_STEPS);
    const rounds = Math.max(1, Math.round((all - at) / length));
    // Rounds of equal length, rather than a last one that is short.
    at += length === encoderSteps || rounds === 1 ? (all - at) / rounds : length;
    cuts.push(Math.min(1, at / all));
  }
  cuts[cuts.length - 1] = 1;
  return cuts;
}

/**
 * One epoch: in each round all shards train from the same weights on the next part of their rows, and their weights are
 * averaged (local SGD; McMahan et al., AISTATS 2017), as are Adam's moments, so that a worker needs nothing but the states. UserError
 * if training diverges.
 */
export async function encoderEpoch(
  { config, layout, dispatcher, variance, clusters }: EncoderTraining,
  start: EncoderState,
  alternation: number,
): Promise<EncoderState> {
  const { encoderBatch: batch, encoderNoise: noise } = config;
  const { epochs, rate } = passesOf(config, alternation);
  const before = alternation && config.encoderEpochs + (alternation - 1) * config.alternationEpochs;
  const { widths, epoch } = start;
  const shards = shardBlocks(layout);
  if (clusters) {
    dispatcher.publish('transform', { ...clusters.transform, below: nd(Float64Array.of(1)) });
    dispatcher.publish('net', clusters.net);
    const rows = clusters.centres;
    dispatcher.publish('code-centres', {
      rows: nd(rows, rows.length / codeWidth(widths), codeWidth(widths)),
    });
  }
  let { params, first, second, steps } = start;
  let loss = 0;
  const fewest = Math.min(...shards.map(({ length }) => length));
  // Each round has at least one block of each shard.
  const cuts = roundsOfEpoch(config, layout, steps).filter(
    (cut, i, all) => cut === 1 || i === 0 || Math.floor(cut * fewest) > Math.floor(all[i - 1] * fewest),
  );
  const place = (blocks: number, cut: number) => Math.floor(cut * blocks);
  for (const [round, cut] of cuts.slice(1).entries()) {
    const from = cuts[round];
    publishEncoder(dispatcher, { widths, params });
    dispatcher.publish('encoder-moments', { first: nd(first), second: nd(second) });
    const units = shards.map(
      ({ length }, shard): WorkUnit => ({ shard, from: place(length, from), to: place(length, cut) }),
    );
    const task: Task = {
      ...{ task: 'encoder-steps', epoch: before + epoch + 1, batch, rate, noise, steps },
      ...{ done: epoch + from, length: cut - from, total: epochs },
      pull: clusters ? PULL / clusters.variance : 0,
    };
    const results = await dispatcher.round({
      tasks: [task],
      units,
      sum: true,
    });
    const mean = async (name: string) => quotient(await sumOf(results, 0, name, 'float32'), units.length);
    [params, first, second] = [await mean('params'), await mean('first'), await mean('second')];
    if (![params, first, second].every(areFinite))
      throw new UserError(`the encoder diverges: use a lower --encoder-lr than ${rate}`);
    loss += ((await sumOf(results, 0, 'loss'))[0] / units.length) * (cut - from);
    steps += Math.max(1, Math.floor(((cut - from) * layout.rows) / shards.length / batch));
  }
  return { widths, params, first, second, steps, epoch: epoch + 1, loss: loss / variance };
}

/** In a loop: `Float32Array.from` goes through an iterator, a hundred times as slowly, and these are millions. */
function quotient(sum: Float32Array, count: number): Float32Array {
  const out = new Float32Array(sum.length);
  for (let i = 0; i < sum.length; i++) out[i] = sum[i] / count;
  return out;
}
