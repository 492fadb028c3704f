import { yieldToEventLoop } from '../../../base/slices.ts';
import { rateAfter } from '../../../model/nets/autoencoder.ts';
import { generator, shuffledPrefix } from '../../../model/random.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { type Tensors, take } from '../../../proto/tensors.ts';
import { trainNet } from '../../compute/training.ts';
import type { Context } from '../../context.ts';
import { pick } from '../../rows.ts';
import { pointsOf, rangeOf } from '../graph/states.ts';
import { encoderIn, encoderResult } from './encoder-steps.ts';

/**
 * Local SGD of an encoder on pairs of the shard's sample rows and their neighbours, which may be other shards' rows: its codes have to
 * tell the neighbour of each row of a batch from those of the others (InfoNCE). The pairs are those of a part of the epoch's order,
 * which is drawn again each epoch. Returns weights, moments, and the mean loss of the steps, 0 if there are none: sums over shards.
 */
export async function neighbourSteps(
  { backend: given, states, seed }: Context,
  { epoch, batch, rate, from, length, total, steps, noise, decay }: TaskOf<'neighbour-steps'>,
  { shard }: WorkUnit,
): Promise<Tensors> {
  const { widths, net } = encoderIn(states);
  const { rows } = pointsOf(states);
  const range = rangeOf(states, shard);
  const pairs = states.get('pairs');
  const index = take(pairs, 'index', 'int32');
  const k = pairs.index.shape[1];
  const all = k * (range.to - range.from);
  const order = shuffledPrefix(generator(seed, 'neighbour-pairs', epoch, shard), all, all);
  // Rounded, as the end of a part may differ from the beginning of the next one by a rounding error.
  const [first, last] = [from, from + length].map((share) => Math.round(share * all));
  const size = Math.min(batch, last - first);
  const rng = generator(seed, 'neighbour-noise', epoch, shard, first);
  const backend = given.forNet?.(net.shapes) ?? given;
  const training = trainNet(backend, net, 'info-nce', steps);
  let loss = 0;
  try {
    for (let at = first; size > 0 && at + size <= last; at += size) {
      await yieldToEventLoop();
      const own = order.subarray(at, at + size);
      const used = new Int32Array(2 * size);
      for (let i = 0; i < size; i++) {
        used[i] = range.from + Math.floor(own[i] / k);
        used[size + i] = index[k * range.from + own[i]];
      }
      const inputs = pick(rows, used, widths[0]);
      const noisy = noise ? inputs.map((value) => value + noise * rng.normal()) : inputs;
      const x = backend.upload(noisy, [2 * size, widths[0]]);
      const done = epoch - 1 + at / all;
      training.step({ x }, rateAfter(rate, done, total), decay);
      backend.free(x);
    }
    const trained = await training.end();
    if (size > 0) loss = trained.loss;
    return encoderResult({ ...trained, loss });
  } finally {
    training.free();
  }
}
