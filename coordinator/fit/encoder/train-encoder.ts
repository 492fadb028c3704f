import { UserError } from '../../../base/user-error.ts';
import { CODES } from '../../../data/row-parts.ts';
import { areFinite } from '../../../model/arrays.ts';
import { type Layout, shardBlocks } from '../../../model/layout.ts';
import { type Autoencoder, codeWidth } from '../../../model/nets/autoencoder.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { nd, take } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { EncoderState, Encoding } from '../../../run/encoding.ts';
import type { Task } from '../../../tasks/table.ts';
import type { Dispatcher, RoundDispatcher } from '../../rounds/dispatcher.ts';
import { sumOf, unitsOf } from '../../rounds/sums.ts';
import type { Output } from '../row-writer.ts';
import { ALTERNATION_EPOCHS, passesOf } from './encoder.ts';

export interface EncoderTraining {
  config: RunConfig;
  layout: Layout;
  dispatcher: RoundDispatcher;
}

/**
 * β/(2λ) of λ‖output − input‖² + (β/2)‖latent vector − centre‖² with λ = .005 and β = 1, as in the alternation of DCN (Yang et al., ICML 2017) and
 * DeepDPM; vectors in units in which their numbers have variance 1 on average.
 */
const PULL = 100;
/** Standard deviation of the noise that is added to inputs, which have variance 1: MNIST and Fashion-MNIST have K 10 with it, 11 without. */
const NOISE = 0.5;

function publishEncoder(dispatcher: RoundDispatcher, { widths, params }: Autoencoder): void {
  dispatcher.publish('encoder', { params: nd(params), widths: nd(Int32Array.from(widths)) });
}

/** Rows of a shard of an encoder, at least, before there are more shards by themselves: a pass over them is 2,048 steps. */
const ROWS_PER_SHARD = 1 << 17;
const MOST_SHARDS = 1 << 10;

/**
 * Shards of the training of an encoder: half of the run's. Nets of fewer shards take more steps in a pass, and fewer nets are averaged:
 * with four shards in place of eight, three passes over MNIST leave .29 of the variance in place of .36 (LOG.md). With `auto` more where each has
 * rows for many steps, as each is work for another worker.
 */
export function encoderShards(
  { shards: choice }: Pick<RunConfig, 'shards'>,
  { rows, shards }: Layout,
): number {
  const half = Math.ceil(shards / 2);
  if (choice !== 'auto') return half;
  return Math.max(half, Math.min(MOST_SHARDS, 2 ** Math.floor(Math.log2(rows / ROWS_PER_SHARD))));
}

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
  { config, layout, dispatcher }: EncoderTraining,
  { state: start, variance, clusters, alternation }: Encoding,
): Promise<EncoderState> {
  const { encoderBatch: batch } = config;
  const { epochs, rate } = passesOf(config, alternation);
  const before = alternation && config.encoderEpochs + (alternation - 1) * ALTERNATION_EPOCHS;
  const { widths, epoch } = start;
  const shards = shardBlocks(layout);
  const byMixture = clusters !== null && 'constant' in clusters.classifier;
  if (clusters) {
    dispatcher.publish('transform', { ...clusters.transform, below: nd(Float64Array.of(1)) });
    dispatcher.publish(byMixture ? 'e-step' : 'net', clusters.classifier);
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
      ...{ task: 'encoder-steps', epoch: before + epoch + 1, batch, rate, noise: NOISE, steps },
      ...{ done: epoch + from, length: cut - from, total: epochs },
      ...{ pull: clusters ? PULL / clusters.variance : 0, byMixture },
    };
    const results = await dispatcher.round({
      tasks: [task],
      units,
      sum: true,
    });
    const mean = (name: string) => quotient(sumOf(results, 0, name, 'float32'), units.length);
    [params, first, second] = [mean('params'), mean('first'), mean('second')];
    if (![params, first, second].every(areFinite))
      throw new UserError(`the encoder diverges: use a lower --encoder-lr than ${rate}`);
    loss += (sumOf(results, 0, 'loss')[0] / units.length) * (cut - from);
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

/** Rows per unit: enough to be worth a message, few enough to balance the load. */
const UNIT_ROWS = 1 << 14;
/** Computes the latent vectors of all rows and writes them as they arrive, as `name`. */
export async function encodeAll(
  dispatcher: Dispatcher,
  layout: Layout,
  encoder: Autoencoder,
  out: Output,
  name = CODES,
): Promise<void> {
  const latent = codeWidth(encoder.widths);
  const shards = shardBlocks(layout);
  const units = unitsOf(layout, shards, UNIT_ROWS);
  const blocksOf = ({ shard, from, to }: WorkUnit) => shards[shard].slice(from, to);
  const file = out.pieces(name, '<f4', [layout.rows, latent]);
  publishEncoder(dispatcher, encoder);
  try {
    await dispatcher.round({
      tasks: [{ task: 'encode' } satisfies Task],
      units,
      streams: true,
      each(unit, [part]) {
        const codes = take(part, 'codes', 'float32');
        let at = 0;
        try {
          for (const { start, count } of blocksOf(unit)) {
            file.write(codes.subarray(at, at + count * latent), start * latent);
            at += count * latent;
          }
        } catch (error) {
          // A write error, such as a full disk, ends the round, not the process.
          dispatcher.abort(error as Error);
        }
      },
    });
    await file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}
