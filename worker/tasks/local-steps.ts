import { unflatten } from '../../model/nets/net.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { Backend, FlatNet, Tensor, TrainingBatch } from '../compute/backends/backend.ts';
import { lossAndGradients } from '../compute/mlp.ts';
import { lossFunctions, mean, readAll, trainNet } from '../compute/training.ts';
import type { States } from '../states.ts';

/** A batch on the device, to be freed after its step. */
export interface OwnedBatch extends TrainingBatch {
  free(): void;
}

export interface StepsTask {
  steps: number;
  rate: number;
  /** Adam steps that were taken before. */
  done: number;
  average: 'weights' | 'gradients';
}

/** The clustering net learns targets, the sub-nets what their sub-clusters cost. */
const LOSSES = { net: 'kl', subs: 'cost' } as const;

/**
 * Local SGD: takes `steps` Adam steps on the shard's batches, from the broadcast weights and moments, and
 * returns weights and moments, multiplied by `counts` (the weight of this shard in the average: one number, or one for each
 * stacked net). If gradients are averaged, takes no step and returns the gradients of the first batch. All results are sums
 * over shards; a shard without rows (`batchOf` is null) returns zeros.
 */
export async function localSteps(
  backend: Backend,
  states: States,
  net: 'net' | 'subs',
  task: StepsTask,
  counts: Float64Array,
  batchOf: ((step: number) => OwnedBatch) | null,
): Promise<Tensors> {
  const { data, shapes } = states.flat(net);
  const result = (loss: number, arrays: Record<string, Float32Array>): Tensors => ({
    ...Object.fromEntries(
      Object.entries(arrays).map(([name, values]) => [name, nd(times(values, shapes, counts))]),
    ),
    loss: nd(Float64Array.of(loss)),
    count: nd(counts),
    shards: nd(Float64Array.of(batchOf ? 1 : 0)),
  });
  if (!batchOf) {
    const names = task.average === 'gradients' ? ['gradients'] : ['params', 'first', 'second'];
    return result(0, Object.fromEntries(names.map((name) => [name, new Float32Array(data.length)])));
  }
  if (task.average === 'gradients') {
    const batch = batchOf(0);
    const lossOf = lossFunctions(backend)[LOSSES[net]];
    const lossOn = (outputs: Tensor) => lossOf(outputs, batch.target);
    const { loss, grads } = lossAndGradients(backend, states.net(net), batch.x, lossOn);
    batch.free();
    const gradients = await readAll(backend, grads);
    const value = await mean(backend, [loss]);
    backend.free(loss, ...grads);
    return result(value, { gradients });
  }
  const start: FlatNet = {
    shapes,
    params: data.slice(),
    first: states.flat(net, 'first').data.slice(),
    second: states.flat(net, 'second').data.slice(),
  };
  const training = trainNet(backend, start, LOSSES[net], task.done);
  try {
    for (let i = 0; i < task.steps; i++) {
      const batch = batchOf(i);
      training.step(batch, task.rate);
      batch.free();
    }
    const { loss, params, first, second } = await training.end();
    return result(loss, { params, first, second });
  } finally {
    training.free();
  }
}

/** Multiplies each of the `counts.length` equal parts of each array by its count. Exactly 0 if the count is 0, even for NaN. */
function times(flat: Float32Array, shapes: FlatNet['shapes'], counts: Float64Array): Float64Array {
  const out = new Float64Array(flat.length);
  let at = 0;
  for (const values of unflatten(flat, shapes)) {
    const size = values.length / counts.length;
    for (let c = 0, j = 0; c < counts.length; c++)
      for (const end = j + size; j < end; j++) out[at++] = counts[c] === 0 ? 0 : counts[c] * values[j];
  }
  return out;
}
