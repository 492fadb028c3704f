import type { Backend, Tensor } from './backends/backend.ts';

/** Rows in a forward pass: what a step keeps in the second-level cache. */
export const FORWARD_ROWS = 2048;
/** Smoothing ε of the E-step's responsibilities. */
const SMOOTHING = 1e-5;

/**
 * A ReLU multi-layer perceptron as [W₁, b₁, W₂, b₂, …]; or K of them at once, each tensor with a leading axis K.
 * Returns what each layer gives: the hidden activations, then the logits.
 */
export function forward(backend: Backend, net: Tensor[], x: Tensor): Tensor[] {
  const out: Tensor[] = [];
  for (let l = 0; l < net.length; l += 2)
    out.push(backend.affine(out.at(-1) ?? x, net[l], net[l + 1], l + 2 < net.length));
  return out;
}

/** Log-densities of rows [b,D] (each) by whitening: weights [D,K·D], bias [K·D], constant [K]. */
export function logDensity(backend: Backend, x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor {
  const found = backend.logDensity?.(x, w, b, constant);
  if (found) return found;
  const u = backend.affine(x, w, b, false);
  const out = backend.whitenedDensity(u, constant);
  backend.free(u);
  return out;
}

/** Smoothed responsibilities from the log-densities of the rows (each), which are freed. */
export function responsibilities(backend: Backend, density: Tensor): Tensor {
  const out = backend.softmaxRows(density, SMOOTHING);
  backend.free(density);
  return out;
}

/** ∂loss/∂net, in the order of `net`, from g = ∂loss/∂logits. Frees g. */
function gradients(backend: Backend, net: Tensor[], x: Tensor, layers: Tensor[], g: Tensor): Tensor[] {
  const out: Tensor[] = [];
  for (let l = net.length - 2, above = g; l >= 0; l -= 2) {
    const input = l ? layers[l / 2 - 1] : x;
    out.unshift(backend.gram(input, above), backend.columnSums(above));
    const below = l ? backend.reluGrad(above, net[l], input) : null;
    backend.free(above);
    if (below) above = below;
  }
  return out;
}

/** A net and its Adam moments on the device. */
export interface Trained {
  params: Tensor[];
  first: Tensor[];
  second: Tensor[];
}

/**
 * One step of Adam on one batch. `lossOf` gives the gradient by the logits and the loss; the loss is returned as a
 * tensor [1], for the caller to read and free.
 */
export function step(
  backend: Backend,
  net: Trained,
  x: Tensor,
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor },
  rate: number,
  count: number,
): Tensor {
  const { loss, grads } = lossAndGradients(backend, net.params, x, lossOf);
  grads.forEach((grad, i) => {
    backend.adam(net.params[i], net.first[i], net.second[i], grad, rate, count);
  });
  backend.free(...grads);
  return loss;
}

/** The loss [1] of one batch, and its gradients in the order of `params`. */
export function lossAndGradients(
  backend: Backend,
  params: Tensor[],
  x: Tensor,
  lossOf: (logits: Tensor) => { gradient: Tensor; loss: Tensor },
): { loss: Tensor; grads: Tensor[] } {
  const layers = forward(backend, params, x);
  const { gradient, loss } = lossOf(layers.at(-1)!);
  const grads = gradients(backend, params, x, layers, gradient);
  backend.free(...layers);
  return { loss, grads };
}
