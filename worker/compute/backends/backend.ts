/**
 * What a task may ask of the device. A verb is what an algorithm needs, not a mirror of TensorFlow.js: the same verb
 * is spelled differently where that is fast. A tensor of shape [K,b,D] stands for K small matrices; every verb below
 * takes K nets at once so, where it says "each".
 *
 * Tensors are float32, row-major, and freed by hand: `free` what you made. Only `read` and `argmaxRows` wait for
 * the device.
 */
export interface Tensor {
  readonly shape: readonly number[];
}

/** K stacked nets (or one, without the leading axis) and Adam's moments, flat: W₁, b₁, W₂, b₂, … as in model/net.ts. */
export interface FlatNet {
  shapes: readonly (readonly number[])[];
  params: Float32Array;
  first: Float32Array;
  second: Float32Array;
}

/** Rows [b,D] (each: [K,b,D]) and what a net is to learn on them [b,k] (each): responsibilities, or a cost of each output. */
export interface Batch {
  x: Tensor;
  target: Tensor;
}

export interface Device {
  readonly name: string;
  /** Bytes in use by this process and of the whole card; null where nobody can tell. */
  memory?(): { used: number; limit: number } | null;
}

export interface Backend {
  /** Backend, version and whatever else changes bits: the numeric identity of the worker. */
  readonly identity: string;
  /** The GPU that it computes on, if it does. */
  readonly device?: Device;
  upload(values: Float32Array, shape: readonly number[]): Tensor;
  read(tensor: Tensor): Promise<Float32Array>;
  free(...tensors: Tensor[]): void;
  /** Tensors not yet freed. */
  live(): number;

  /** Rows `index` of x [n,D], as [index.length, D] or in the given shape. */
  gather(x: Tensor, index: Int32Array | Uint32Array, shape?: readonly number[]): Tensor;
  /** Rows start … start+count−1 of x [n,D], which has to outlive them. */
  slice(x: Tensor, start: number, count: number): Tensor;

  /** x·w + b, rectified or not. [b,D]·[D,H] + [H], or each of K: [K,b,D]·[K,D,H] + [K,H]. */
  affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor;
  /** aᵀ·b: [b,D],[b,H] → [D,H], each. The gradient of a weight matrix. */
  gram(a: Tensor, b: Tensor): Tensor;
  /** Sums over rows: [b,H] → [H], each. The gradient of a bias. */
  columnSums(x: Tensor): Tensor;
  /** (g·wᵀ) where h > 0, else 0: g [b,K], w [H,K], h [b,H] → [b,H], each. */
  reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor;
  /**
   * One Adam step on each batch in turn (KL to the target, or its cost as below), `done` having been taken before, by a
   * kernel for whole steps; where there is none, worker/compute/mlp.ts takes them verb by verb. Replaces the content of `net`;
   * returns the mean loss; null, and nothing was done, where the verbs are as
   * fast on a net of this size. Batches are used one at a time.
   */
  steps?(
    net: FlatNet,
    batches: Iterable<Batch>,
    loss: 'kl' | 'cost',
    rate: number,
    done: number,
  ): number | null;
  /** One Adam step (β .9, .999, ε 1e-8; `step` counts from 1). Replaces the content of p, m and v. */
  adam(p: Tensor, m: Tensor, v: Tensor, gradient: Tensor, rate: number, step: number): void;

  /** Softmax of each row; with ε > 0 it is smoothed to (r + ε)/Σ(r + ε). */
  softmaxRows(logits: Tensor, epsilon: number): Tensor;
  /** Index of the largest entry of each row (the first of equals). */
  argmaxRows(x: Tensor): Promise<Int32Array>;
  /** KL(target ‖ softmax(logits)) averaged over the rows: its gradient by the logits, and its value [1]. */
  klGradient(logits: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor };
  /** Σ_j softmax(logits)_j·cost_j averaged over the rows (each): its gradient by the logits, and its value [1]. */
  costGradient(logits: Tensor, cost: Tensor): { gradient: Tensor; loss: Tensor };

  /** φ(x)·Θ: [b,D], [P,K] → [b,K], with φ(x) = (1, x, vech xxᵀ), or (1, x, x²) if `diagonal`. */
  quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor;
  /** φ of each row, in a layout of the backend's own, for `quadraticMoments`. */
  quadraticFeatures(x: Tensor, diagonal: boolean): Tensor;
  /** Σ_i r_ik φ(x_i): [b,K] and the features of b rows → [K,P]. Soft statistics. */
  quadraticMoments(r: Tensor, features: Tensor): Tensor;
  /** c_k − ½ Σ_d u_kd²: [b,K·D], [K] → [b,K], each. Log-densities from whitened coordinates. */
  whitenedDensity(u: Tensor, constant: Tensor): Tensor;
  /** The same of u = x·w + b, by a kernel for both at once, where there is one; null where the two verbs are as fast. */
  logDensity?(x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor | null;
  /** Σ_d w_d (x_d − c_jd)²: [K,b,D], centres [K,J,D], metric [D] → [K,b,J]. */
  squaredDistances(x: Tensor, centres: Tensor, metric: Tensor): Tensor;
}
