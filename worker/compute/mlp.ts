import { concat, elementCount } from '../../model/arrays.ts';
import {
  densitiesByGaussians,
  densitiesByOutputs,
  type RowDensities,
} from '../../model/description/densities.ts';
import { type MapNet, planePlaces, unitLayer, within } from '../../model/graph/map-net.ts';
import { unflatten } from '../../model/nets/net.ts';
import type { Backend, CodeTargets, FlatNet, Loss, Tensor, TrainingBatch } from './backends/backend.ts';

/** Forward pass, gradients and steps of Adam, composed of a backend's operations. Which rows, and towards which targets, tasks decide. */

/** Smoothing ε of the E-step's responsibilities. */
const SMOOTHING = 1e-5;

/**
 * The forward pass of a ReLU multi-layer perceptron [W₁, b₁, W₂, b₂, …], or of K at once if each tensor has a leading axis K.
 * Returns the output of each layer: the hidden activations, then the logits. `linear`: a hidden layer without a ReLU.
 */
export function forward(backend: Backend, net: Tensor[], x: Tensor, linear = -1): Tensor[] {
  const out: Tensor[] = [];
  for (let l = 0; l < net.length; l += 2) {
    const hasRelu = l + 2 < net.length && l / 2 !== linear;
    out.push(backend.affine(out.at(-1) ?? x, net[l], net[l + 1], hasRelu));
  }
  return out;
}

/**
 * Log-densities [b,K] of rows x [b,D] (each) by whitening: weights [D,K·D], bias [K·D], constant [K]. The D×D weights of a component
 * are 0 below the diagonal.
 */
export function logDensity(backend: Backend, x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor {
  const density = backend.logDensity?.(x, w, b, constant);
  if (density) return density;
  const u = backend.affine(x, w, b, false);
  const out = backend.whitenedDensity(u, constant);
  backend.free(u);
  return out;
}

/**
 * What rows have of each cluster, [n,K], as the last of some tensors, which the caller frees: the outputs of the clustering net, or
 * log-densities by the mixture (weights, bias and constant).
 */
export function clusterOutputs(
  backend: Backend,
  classifier: Tensor[],
  byMixture: boolean,
  x: Tensor,
): Tensor[] {
  if (!byMixture) return forward(backend, classifier, x);
  const [weights, bias, constant] = classifier;
  return [logDensity(backend, x, weights, bias, constant)];
}

/** Log densities of rows [n,D] under the mixture, of which `outputs` are those of the clustering, and `z` the clusters. */
export async function logDensities(
  backend: Backend,
  by: RowDensities,
  outputs: Tensor,
  rows: Float32Array,
  z: Int32Array,
): Promise<Float32Array> {
  if (!('offset' in by)) return densitiesByGaussians(by, rows, z);
  return densitiesByOutputs(await backend.read(outputs), outputs.shape[1], by.offset);
}

/** Smoothed responsibilities of rows (each) from their log-densities, which are freed. */
export function responsibilities(backend: Backend, density: Tensor): Tensor {
  const out = backend.softmaxRows(density, SMOOTHING);
  backend.free(density);
  return out;
}

/** ∂loss/∂net, in the order of `net`, from g = ∂loss/∂logits. Frees g. */
function gradients(
  backend: Backend,
  net: Tensor[],
  x: Tensor,
  layers: Tensor[],
  g: Tensor,
  linear: number,
  codes?: CodeTargets,
): Tensor[] {
  const out: Tensor[] = [];
  for (let l = net.length - 2, above = g; l >= 0; l -= 2) {
    const input = l ? layers[l / 2 - 1] : x;
    out.unshift(backend.gram(input, above), backend.columnSums(above));
    const isLinear = l / 2 - 1 === linear;
    const below = l ? gradientBelow(backend, above, net[l], input, isLinear, codes) : null;
    backend.free(above);
    if (below) above = below;
  }
  return out;
}

/** The gradient by the input of a layer, which is the output of the one before, and by codes that of their own loss. */
function gradientBelow(
  backend: Backend,
  above: Tensor,
  w: Tensor,
  input: Tensor,
  isLinear: boolean,
  codes?: CodeTargets,
): Tensor {
  if (!isLinear) return backend.reluGrad(above, w, input);
  // A ReLU whose inputs are all positive lets everything through.
  const ones = backend.upload(new Float32Array(elementCount(input.shape)).fill(1), input.shape);
  const below = backend.reluGrad(above, w, ones);
  backend.free(ones);
  if (!codes) return below;
  const own = backend.lossGradient('squares', input, codes.target);
  const sum = backend.plus(below, own.gradient, codes.weight);
  backend.free(below, own.gradient, own.loss);
  return sum;
}

/** One step of Adam on one batch. Returns the loss [1], which the caller frees. `linear`: a hidden layer without a ReLU. */
export function trainStep(
  backend: Backend,
  net: Record<'params' | 'first' | 'second', Tensor[]>,
  batch: TrainingBatch,
  kind: Loss,
  rate: number,
  count: number,
  linear = -1,
): Tensor {
  const { loss, grads } = lossAndGradients(backend, net.params, batch, kind, linear);
  for (const [i, grad] of grads.entries())
    backend.adam(net.params[i], net.first[i], net.second[i], grad, rate, count);
  backend.free(...grads);
  return loss;
}

/** The loss [1] of one batch, and its gradients in the order of `params`; the caller frees both. */
export function lossAndGradients(
  backend: Backend,
  params: Tensor[],
  { x, target, codes }: TrainingBatch,
  kind: Loss,
  linear = -1,
): { loss: Tensor; grads: Tensor[] } {
  const layers = forward(backend, params, x, linear);
  const { gradient, loss } = backend.lossGradient(kind, layers.at(-1)!, target);
  const grads = gradients(backend, params, x, layers, gradient, linear, codes);
  backend.free(...layers);
  return { loss, grads };
}

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
  const losses: Tensor[] = [];
  return {
    step(batch, rate) {
      losses.push(trainStep(backend, trained, batch, loss, rate, done + losses.length + 1, linear));
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

/** The net of the map on a backend. */
export function loadMap(backend: Backend, net: MapNet) {
  const { dim, shift, places } = net;
  const [p, m] = [shift.length, places.length / 2];
  const axes = [backend.upload(net.axes, [dim, p]), backend.upload(shift, [p])];
  const { weights, bias } = unitLayer(net);
  const layers = m
    ? [
        ...[backend.upload(weights, [p, m]), backend.upload(bias, [m])],
        ...[backend.upload(places, [m, 2]), backend.upload(new Float32Array(2), [2])],
      ]
    : [];
  return {
    /** The places of rows x [n,D]: [n,2], finite. */
    async place(x: Tensor): Promise<Float32Array> {
      const along = backend.affine(x, axes[0], axes[1], false);
      const z = await backend.read(along);
      backend.free(along);
      const n = z.length / p;
      if (!m) return planePlaces(z, p);
      const inside = backend.upload(z.map(within), [n, p]);
      const logits = backend.affine(inside, layers[0], layers[1], false);
      const shares = backend.softmaxRows(logits, 0);
      const placed = backend.affine(shares, layers[2], layers[3], false);
      const found = await backend.read(placed);
      backend.free(inside, logits, shares, placed);
      return found;
    },
    free: () => backend.free(...axes, ...layers),
  };
}
