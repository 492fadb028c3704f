import { elements, nd, type Tensors } from '../../proto/tensors.ts';
import type { Backend, Tensor } from '../backends/backend.ts';
import { lossAndGradients, step, type Trained } from '../mlp.ts';
import type { States } from '../states.ts';

/** A batch on the device, and the loss's gradient by the logits on it. */
export interface Batch {
  x: Tensor;
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor };
  free(): void;
}

export interface Steps {
  steps: number;
  rate: number;
  /** Steps that Adam has taken before. */
  done: number;
  average: 'weights' | 'gradients';
}

/**
 * Local SGD: takes `steps` Adam steps on the shard's own batches, from the broadcast weights and moments, and gives
 * all three back, times the shard's `counts` (of each of the stacked nets, or of the one); or, where gradients are to
 * be averaged, those of the first batch. All that is given adds up over shards; one without a batch gives zeros.
 */
export async function localSteps(
  backend: Backend,
  states: States,
  net: 'net' | 'subs',
  { steps, rate, done, average }: Steps,
  counts: Float64Array,
  batchOf: ((step: number) => Batch) | null,
): Promise<Tensors> {
  const layers = states.layers(net);
  const about = { count: nd(counts), shards: nd(Float64Array.of(batchOf ? 1 : 0)) };
  if (!batchOf) {
    const size = layers.reduce((sum, { data }) => sum + data.length, 0);
    const names = average === 'gradients' ? ['gradients'] : ['params', 'first', 'second'];
    const zeros = names.map((name) => [name, nd(new Float64Array(size))]);
    return { ...Object.fromEntries(zeros), loss: nd(Float64Array.of(0)), ...about };
  }
  if (average === 'gradients') {
    const batch = batchOf(0);
    const { loss, grads } = lossAndGradients(backend, states.net(net), batch.x, batch.lossOf);
    batch.free();
    const gradients = nd(await takeTimes(backend, grads, counts));
    return { gradients, loss: nd(await takeLoss(backend, [loss])), ...about };
  }
  const copies = (tensor?: 'first' | 'second') =>
    states.layers(net, tensor).map(({ data, shape }) => backend.upload(data, shape));
  const trained: Trained = { params: copies(), first: copies('first'), second: copies('second') };
  const losses: Tensor[] = [];
  for (let i = 0; i < steps; i++) {
    const batch = batchOf(i);
    losses.push(step(backend, trained, batch.x, batch.lossOf, rate, done + i + 1));
    batch.free();
  }
  return {
    params: nd(await takeTimes(backend, trained.params, counts)),
    first: nd(await takeTimes(backend, trained.first, counts)),
    second: nd(await takeTimes(backend, trained.second, counts)),
    loss: nd(await takeLoss(backend, losses)),
    ...about,
  };
}

/** The tensors one after the other, each of its `counts.length` stretches times its count; 0 where that is 0. */
async function takeTimes(backend: Backend, tensors: Tensor[], counts: Float64Array): Promise<Float64Array> {
  const out = new Float64Array(tensors.reduce((sum, { shape }) => sum + elements(shape), 0));
  let at = 0;
  for (const tensor of tensors) {
    const values = await backend.read(tensor);
    const size = values.length / counts.length;
    for (let c = 0, j = 0; c < counts.length; c++)
      for (const end = j + size; j < end; j++) out[at++] = counts[c] === 0 ? 0 : counts[c] * values[j];
  }
  backend.free(...tensors);
  return out;
}

/** Mean of the steps' losses. */
async function takeLoss(backend: Backend, losses: Tensor[]): Promise<Float64Array> {
  let sum = 0;
  for (const loss of losses) sum += (await backend.read(loss))[0];
  backend.free(...losses);
  return Float64Array.of(sum / losses.length);
}
