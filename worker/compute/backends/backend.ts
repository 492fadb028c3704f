import { UserError } from '../../../base/user-error.ts';

/**
 * The operations of a compute backend. Each is what an algorithm needs, not a mirror of TensorFlow.js, so that every backend
 * may implement it in its fastest way. A tensor of shape [K,b,D] is a stack of K small matrices; operations whose comment
 * says "each" accept such stacks too.
 *
 * Tensors are float32 and row-major. Whoever creates one has to `free` it. Only `read` and `argmaxRows` wait for the device.
 */
export interface Tensor {
  readonly shape: readonly number[];
}

/** K stacked nets (or one, without the leading axis) and their Adam moments, flat: W₁, b₁, W₂, b₂, … as in model/nets/net.ts. */
export interface FlatNet {
  shapes: readonly (readonly number[])[];
  params: Float32Array;
  first: Float32Array;
  second: Float32Array;
}

/** What a net is trained by: KL(target ‖ softmax(outputs)), Σ_j softmax(outputs)_j·target_j, or ‖outputs − target‖². */
export type Loss = 'kl' | 'cost' | 'squares';

/** A net in training. */
export interface BackendTraining {
  /** One step of `adam` on one batch; `count`: the number of steps with this one. Returns the loss. */
  step(batch: TrainingBatch, rate: number, count: number): number;
  /** Writes weights and moments back into the net. */
  end(): void;
}

/** Rows [b,D] (each: [K,b,D]) and their targets [b,k] (each): responsibilities, the cost of each output, or what the outputs should be. */
export interface TrainingBatch {
  x: Tensor;
  target: Tensor;
  /** Of a net with a linear layer: what else it learns. */
  codes?: CodeTargets;
}

/** What the outputs of the linear layer, the codes [b,L] of rows, should be: `weight`·‖code − target‖² is added to a row's loss. */
export interface CodeTargets {
  target: Tensor;
  weight: number;
}

export interface ComputeDevice {
  readonly name: string;
  /** Bytes in use on the device, and its total; null if unknown. */
  memory?(): { used: number; limit: number } | null;
}

export interface Backend {
  /** Backend, version and whatever else changes bits: the worker's numeric identity. */
  readonly identity: string;
  /** The GPU that it computes on; undefined on the CPU. */
  readonly device?: ComputeDevice;
  upload(values: Float32Array, shape: readonly number[]): Tensor;
  read(tensor: Tensor): Promise<Float32Array>;
  free(...tensors: Tensor[]): void;
  /** Tensors not yet freed. */
  live(): number;

  /** Rows `index` of x [n,D], as [index.length, D] or in the given shape. */
  gather(x: Tensor, index: Int32Array | Uint32Array, shape?: readonly number[]): Tensor;
  /** Rows start … start+count−1 of x [n,D], which must not be freed before them. */
  slice(x: Tensor, start: number, count: number): Tensor;

  /** x·w + b, then ReLU if `relu`. [b,D]·[D,H] + [H], or each of K: [K,b,D]·[K,D,H] + [K,H]. */
  affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor;
  /** aᵀ·b: [b,D],[b,H] → [D,H], each. The gradient of a weight matrix. */
  gram(a: Tensor, b: Tensor): Tensor;
  /** a + factor·b, of the same shape. */
  plus(a: Tensor, b: Tensor, factor: number): Tensor;
  /** Sums over rows: [b,H] → [H], each. The gradient of a bias. */
  columnSums(x: Tensor): Tensor;
  /** (g·wᵀ) where h > 0, else 0: g [b,K], w [H,K], h [b,H] → [b,H], each. */
  reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor;
  /**
   * Training of `net` by steps that are single kernels; or
   * null, if single operations are as fast for a net of this size. `linear`: a hidden layer without a ReLU. It ends when another begins.
   * Without this method, worker/compute/mlp.ts composes the steps of single operations.
   */
  training?(net: FlatNet, loss: Loss, linear?: number): BackendTraining | null;
  /** The backend that is the fastest for training a net of these shapes whose rows are in JavaScript's memory; by default this one. */
  forNet?(shapes: FlatNet['shapes']): Backend;
  /** One Adam step (β₁ 0.9, β₂ 0.999, ε 1e-8; `step` counts from 1). Changes p, m and v in place. */
  adam(p: Tensor, m: Tensor, v: Tensor, gradient: Tensor, rate: number, step: number): void;

  /** Softmax r of each row; with ε > 0 smoothed to (r + ε)/Σ(r + ε). */
  softmaxRows(logits: Tensor, epsilon: number): Tensor;
  /** Index of the largest entry of each row (the first of equals). */
  argmaxRows(x: Tensor): Promise<Int32Array>;
  /** The loss averaged over the rows (each): its gradient by the outputs, and its value [1]. `squares` of [b,D] only. */
  lossGradient(kind: Loss, outputs: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor };

  /** φ(x)·Θ: [b,D], [P,K] → [b,K], with φ(x) = (1, x, vech xxᵀ), or (1, x, x²) if `diagonal`. */
  quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor;
  /** φ of each row, in a layout that only `quadraticMoments` of the same backend reads. */
  quadraticFeatures(x: Tensor, diagonal: boolean): Tensor;
  /** Soft statistics Σ_i r_ik φ(x_i): [b,K] and the features of b rows → [K,P]. */
  quadraticMoments(r: Tensor, features: Tensor): Tensor;
  /** Log-densities from whitened coordinates, c_k − ½ Σ_d u_kd²: [b,K·D], [K] → [b,K], each. */
  whitenedDensity(u: Tensor, constant: Tensor): Tensor;
  /**
   * `whitenedDensity` of u = x·w + b in a single kernel, where the [D,D] weights of each component are 0 below the diagonal; null if the
   * two operations are as fast.
   */
  logDensity?(x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor | null;
  /** Σ_d w_d (x_d − c_jd)²: [K,b,D], centres [K,J,D], metric [D] → [K,b,J]. */
  squaredDistances(x: Tensor, centres: Tensor, metric: Tensor): Tensor;
}

/** This worker cannot compute, though others may: it leaves the run, which continues without it. */
export class BackendFailure extends UserError {}

/** The device has no memory left for a tensor. Computing in smaller blocks is no way out: that would change bits. */
export class OutOfDeviceMemory extends BackendFailure {
  constructor(device: string, bytes: number | null) {
    const tensor = bytes === null ? 'a tensor' : `a tensor of ${bytes.toLocaleString('en')} bytes`;
    super(
      `${device} is out of memory: no room for ${tensor}; use fewer rows (--sample), --covariance diag, or fewer workers per GPU`,
    );
  }
}
