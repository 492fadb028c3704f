import { elementCount } from '../../model/arrays.ts';
import type { Backend, CodeTargets, Tensor, TrainingBatch } from './backends/backend.ts';

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
    let below = l ? gradientBelow(backend, above, net[l], input, isLinear) : null;
    backend.free(above);
    if (below && isLinear && codes) below = withCodes(backend, below, input, codes);
    if (below) above = below;
  }
  return out;
}

/** The gradient by the input of a layer, which is the output of the one before. */
function gradientBelow(backend: Backend, above: Tensor, w: Tensor, input: Tensor, isLinear: boolean): Tensor {
  if (!isLinear) return backend.reluGrad(above, w, input);
  // A ReLU whose inputs are all positive lets everything through.
  const ones = backend.upload(new Float32Array(elementCount(input.shape)).fill(1), input.shape);
  const below = backend.reluGrad(above, w, ones);
  backend.free(ones);
  return below;
}

/** The gradient by codes, and that of their own loss. Frees `below`. */
function withCodes(backend: Backend, below: Tensor, code: Tensor, { target, weight }: CodeTargets): Tensor {
  const { gradient, loss } = backend.squaredError(code, target);
  const sum = backend.plus(below, gradient, weight);
  backend.free(below, gradient, loss);
  return sum;
}

/** A net and its Adam moments on the device. */
export interface TrainableNet {
  params: Tensor[];
  first: Tensor[];
  second: Tensor[];
}

/**
 * One step of Adam on one batch. `lossOf` returns the loss and its gradient with respect to the logits. Returns the loss [1],
 * which the caller frees. `linear`: a hidden layer without a ReLU.
 */
export function trainStep(
  backend: Backend,
  net: TrainableNet,
  { x, codes }: Pick<TrainingBatch, 'x' | 'codes'>,
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor },
  rate: number,
  count: number,
  linear = -1,
): Tensor {
  const { loss, grads } = lossAndGradients(backend, net.params, x, lossOf, linear, codes);
  grads.forEach((grad, i) => {
    backend.adam(net.params[i], net.first[i], net.second[i], grad, rate, count);
  });
  backend.free(...grads);
  return loss;
}

/** The loss [1] of one batch, and its gradients in the order of `params`; the caller frees both. */
export function lossAndGradients(
  backend: Backend,
  params: Tensor[],
  x: Tensor,
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor },
  linear = -1,
  codes?: CodeTargets,
): { loss: Tensor; grads: Tensor[] } {
  const layers = forward(backend, params, x, linear);
  const { gradient, loss } = lossOf(layers.at(-1)!);
  const grads = gradients(backend, params, x, layers, gradient, linear, codes);
  backend.free(...layers);
  return { loss, grads };
}
