import { concat } from '../../model/arrays.ts';
import { unflatten } from '../../model/nets/net.ts';
import type { Backend, FlatNet, Loss, Tensor, TrainingBatch } from './backends/backend.ts';
import { trainStep } from './mlp.ts';

/** Training of a net by steps of Adam: each a single kernel, where the backend has one for the net, else composed of operations. */
export interface NetTraining {
  step(batch: TrainingBatch, rate: number): void;
  /** The net, and the mean loss of the steps. */
  end(): Promise<FlatNet & { loss: number }>;
  /** Frees what is on the device. */
  free(): void;
}

/** Starts training of `net`, which changes, after `done` steps. `linear`: a hidden layer without a ReLU. It ends when another begins. */
export function trainNet(backend: Backend, net: FlatNet, loss: Loss, done: number, linear = -1): NetTraining {
  const training = backend.training?.(net, loss, linear);
  if (!training) return byOperations(backend, net, loss, done, linear);
  let sum = 0;
  let count = done;
  return {
    step(batch, rate) {
      sum += training.step(batch, rate, ++count);
    },
    async end() {
      training.end();
      return { ...net, loss: sum / (count - done) };
    },
    free() {},
  };
}

function byOperations(backend: Backend, net: FlatNet, loss: Loss, done: number, linear: number): NetTraining {
  const { shapes } = net;
  const upload = (flat: Float32Array) =>
    unflatten(flat, shapes).map((values, i) => backend.upload(values, shapes[i]));
  const trained = { params: upload(net.params), first: upload(net.first), second: upload(net.second) };
  const lossOf = lossFunctions(backend)[loss];
  const losses: Tensor[] = [];
  return {
    step(batch, rate) {
      const lossOn = (outputs: Tensor) => lossOf(outputs, batch.target);
      losses.push(trainStep(backend, trained, batch, lossOn, rate, done + losses.length + 1, linear));
    },
    end: async () => ({
      shapes,
      params: await readAll(backend, trained.params),
      first: await readAll(backend, trained.first),
      second: await readAll(backend, trained.second),
      loss: await mean(backend, losses),
    }),
    free: () => backend.free(...trained.params, ...trained.first, ...trained.second, ...losses),
  };
}

/** Gradient by the outputs of a net, and value [1], of each loss. */
export const lossFunctions = (backend: Backend) => ({
  kl: (outputs: Tensor, target: Tensor) => backend.klGradient(outputs, target),
  cost: (outputs: Tensor, target: Tensor) => backend.costGradient(outputs, target),
  squares: (outputs: Tensor, target: Tensor) => backend.squaredError(outputs, target),
});

/** All of their numbers, one after the other. */
export async function readAll(backend: Backend, tensors: Tensor[]): Promise<Float32Array> {
  const arrays: Float32Array[] = [];
  for (const tensor of tensors) arrays.push(await backend.read(tensor));
  return concat(arrays, Float32Array);
}

/** Of losses [1]. */
export async function mean(backend: Backend, losses: Tensor[]): Promise<number> {
  let sum = 0;
  for (const loss of losses) sum += (await backend.read(loss))[0];
  return sum / losses.length;
}
