import { nd, type Tensors } from '../../proto/tensors.ts';
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
 * all three back; or, where gradients are to be averaged, those of the first batch. `net` names the state of the
 * weights, `moments` that of Adam's.
 */
export async function localSteps(
  backend: Backend,
  states: States,
  { net, moments }: { net: string; moments: string },
  { steps, rate, done, average }: Steps,
  batchOf: (step: number) => Batch,
): Promise<Tensors> {
  if (average === 'gradients') {
    const batch = batchOf(0);
    const { loss, grads } = lossAndGradients(backend, states.net(net, 'p'), batch.x, batch.lossOf);
    batch.free();
    return { ...(await readAll(backend, 'g', grads)), loss: nd(await takeLoss(backend, [loss])) };
  }
  const trained: Trained = {
    params: states.netCopy(net, 'p'),
    first: states.netCopy(moments, 'm'),
    second: states.netCopy(moments, 'v'),
  };
  const losses: Tensor[] = [];
  for (let i = 0; i < steps; i++) {
    const batch = batchOf(i);
    losses.push(step(backend, trained, batch.x, batch.lossOf, rate, done + i + 1));
    batch.free();
  }
  return {
    ...(await readAll(backend, 'p', trained.params)),
    ...(await readAll(backend, 'm', trained.first)),
    ...(await readAll(backend, 'v', trained.second)),
    loss: nd(await takeLoss(backend, losses)),
  };
}

async function readAll(backend: Backend, prefix: string, tensors: Tensor[]): Promise<Tensors> {
  const out: Tensors = {};
  for (const [i, tensor] of tensors.entries())
    out[`${prefix}${i}`] = nd(await backend.read(tensor), ...tensor.shape);
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
