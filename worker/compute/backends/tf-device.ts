import { elementCount } from '../../../model/arrays.ts';
import type { Backend, ComputeDevice, Tensor } from './backend.ts';
import { formIndices, phiLength, productIndices, selectionMatrix, WIDEST_PHI } from './phi.ts';
import type { Binding, Id } from './tf-binding.ts';
import { TfOps, type Transposition } from './tf-ops.ts';

interface DeviceTensor extends Tensor {
  /** Its current value; null if that has yet to be read from `variable`. */
  id: Id | null;
  /** Since Adam has changed it. */
  variable?: Id;
  /** It is (1, x) in place of φ(x), which would be too wide. */
  factors?: true;
}

const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

/** All operations as operations of TensorFlow, with tensors on its device. */
export class TfDevice implements Backend {
  readonly identity: string;
  readonly device: ComputeDevice | undefined;
  readonly #ops: TfOps;
  #live = 0;
  /** The matrices of each Θ (see `#matricesOf`): computed once, and freed with it. */
  readonly #matrices = new Map<Tensor, Id>();
  /** Unused variables by their shape, for reuse: a new one costs 0.1 ms. */
  readonly #spareVariables = new Map<string, Id[]>();
  #variables = 0;
  #adamScalars = { key: '', ids: [] as Id[] };

  constructor(binding: Binding, identity: string, device?: ComputeDevice) {
    this.identity = identity;
    this.device = device;
    this.#ops = new TfOps(binding, device?.name ?? 'TensorFlow');
  }

  upload(values: Float32Array, shape: readonly number[]): Tensor {
    return this.#tensor(shape, this.#ops.create(values.slice(), shape));
  }

  async read(tensor: Tensor): Promise<Float32Array> {
    return this.values(tensor);
  }

  /** `read`, synchronously. */
  values(tensor: Tensor): Float32Array {
    return this.#ops.read(this.#id(tensor)) as Float32Array;
  }

  free(...tensors: Tensor[]): void {
    for (const tensor of tensors as DeviceTensor[]) {
      this.#live--;
      if (tensor.id !== null) this.#ops.delete(tensor.id);
      if (tensor.variable !== undefined) this.#spare(tensor.shape).push(tensor.variable);
      const matrices = this.#matrices.get(tensor);
      if (matrices === undefined) continue;
      this.#ops.delete(matrices);
      this.#matrices.delete(tensor);
    }
  }

  live(): number {
    return this.#live;
  }

  #tensor(shape: readonly number[], id: Id): DeviceTensor {
    this.#live++;
    return { shape, id };
  }

  /** Ends an operation that has one result. */
  #result(shape: readonly number[], id: Id): DeviceTensor {
    this.#ops.end(id);
    return this.#tensor(shape, id);
  }

  #id(tensor: Tensor): Id {
    const own = tensor as DeviceTensor;
    own.id ??= this.#ops.valueOf(own.variable!);
    return own.id;
  }

  gather(x: Tensor, index: Int32Array | Uint32Array, shape?: readonly number[]): Tensor {
    const indices = this.#ops.temporary(Int32Array.from(index), shape ? shape.slice(0, -1) : [index.length]);
    const id = this.#ops.gather(this.#id(x), indices, 0);
    return this.#result(shape ?? [index.length, x.shape[1]], id);
  }

  slice(x: Tensor, start: number, count: number): Tensor {
    const shape = [count, x.shape[1]];
    return this.#result(shape, this.#ops.slice(this.#id(x), [start, 0], shape));
  }

  affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor {
    const ops = this.#ops;
    const width = w.shape.at(-1)!;
    const product = this.#product(x, w, 'NN');
    const biased =
      x.shape.length === 2
        ? ops.run('BiasAdd', product, this.#id(b))
        : ops.run('AddV2', product, ops.reshape(this.#id(b), x.shape[0], 1, width));
    return this.#result([...x.shape.slice(0, -1), width], relu ? ops.run('Relu', biased) : biased);
  }

  gram(a: Tensor, b: Tensor): Tensor {
    const shape = [...a.shape.slice(0, -2), a.shape.at(-1)!, b.shape.at(-1)!];
    return this.#result(shape, this.#product(a, b, 'TN'));
  }

  plus(a: Tensor, b: Tensor, factor: number): Tensor {
    return this.#result(a.shape, this.#ops.run('AddV2', this.#id(a), this.#ops.times(this.#id(b), factor)));
  }

  columnSums(x: Tensor): Tensor {
    const shape = [...x.shape.slice(0, -2), x.shape.at(-1)!];
    return this.#result(shape, this.#ops.sum(this.#id(x), -2));
  }

  reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor {
    return this.#result(h.shape, this.#ops.run('ReluGrad', this.#product(g, w, 'NT'), this.#id(h)));
  }

  /** The product of two matrices, or of each of K. */
  #product(a: Tensor, b: Tensor, transposition: Transposition): Id {
    const [left, right] = [this.#id(a), this.#id(b)];
    return a.shape.length === 2
      ? this.#ops.matMul(left, right, transposition)
      : this.#ops.batchMatMul(left, right, transposition);
  }

  adam(p: Tensor, m: Tensor, v: Tensor, gradient: Tensor, rate: number, step: number): void {
    const ops = this.#ops;
    const changed = [p, m, v] as DeviceTensor[];
    const variables = changed.map((tensor) => this.#variableOf(tensor));
    // TensorFlow would copy a value that is still referenced before it changes it.
    for (const tensor of changed) {
      if (tensor.id !== null) ops.delete(tensor.id);
      tensor.id = null;
    }
    ops.applyAdam([...variables, ...this.#scalarsOf(rate, step), this.#id(gradient)]);
  }

  #variableOf(tensor: DeviceTensor): Id {
    if (tensor.variable !== undefined) return tensor.variable;
    const { shape } = tensor;
    const variable = this.#spare(shape).pop() ?? this.#ops.variable(`dpmesh/${this.#variables++}`, shape);
    this.#ops.assign(variable, tensor.id!);
    tensor.variable = variable;
    return variable;
  }

  #spare(shape: readonly number[]): Id[] {
    const key = shape.join();
    const spare = this.#spareVariables.get(key) ?? [];
    this.#spareVariables.set(key, spare);
    return spare;
  }

  /** β₁ᵗ, β₂ᵗ, rate, β₁, β₂, ε, kept for a step's calls. ε is scaled, as TensorFlow corrects the bias after adding it. */
  #scalarsOf(rate: number, step: number): Id[] {
    const key = `${rate}/${step}`;
    if (this.#adamScalars.key !== key) {
      for (const id of this.#adamScalars.ids) this.#ops.delete(id);
      const second = BETA2 ** step;
      const values = [BETA1 ** step, second, rate, BETA1, BETA2, EPSILON * Math.sqrt(1 - second)];
      this.#adamScalars = {
        key,
        ids: values.map((value) => this.#ops.create(Float32Array.of(value), [])),
      };
    }
    return this.#adamScalars.ids;
  }

  softmaxRows(logits: Tensor, epsilon: number): Tensor {
    const ops = this.#ops;
    const r = ops.run('Softmax', this.#id(logits));
    if (epsilon === 0) return this.#result(logits.shape, r);
    const smoothed = ops.run('AddV2', r, ops.scalar(epsilon));
    return this.#result(logits.shape, ops.times(smoothed, 1 / (1 + logits.shape.at(-1)! * epsilon)));
  }

  async argmaxRows(x: Tensor): Promise<Int32Array> {
    const indices = this.#ops.read(this.#ops.argMax(this.#id(x))) as Int32Array;
    this.#ops.end();
    return indices;
  }

  /** By log-softmax: TensorFlow's cross-entropy is not deterministic on a GPU. */
  klGradient(logits: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    const ops = this.#ops;
    const entries = elementCount(logits.shape);
    const rows = logits.shape.at(-2)!;
    const t = this.#id(target);
    const logR = ops.run('LogSoftmax', this.#id(logits));
    const difference = ops.run('Sub', ops.run('Exp', logR), t);
    // A target of 0 adds nothing, even if log r is −∞.
    const divergence = ops.run('Sub', ops.run('Xlogy', t, t), ops.run('MulNoNan', logR, t));
    const loss = this.#total(divergence, entries, logits.shape.at(-1)! / entries);
    return this.#lossResult(logits, ops.times(difference, 1 / rows), loss);
  }

  costGradient(logits: Tensor, cost: Tensor): { gradient: Tensor; loss: Tensor } {
    const ops = this.#ops;
    const rows = logits.shape.at(-2)!;
    const all = elementCount(logits.shape) / logits.shape.at(-1)!;
    const r = ops.run('Softmax', this.#id(logits));
    const mean = ops.sum(ops.run('Mul', r, this.#id(cost)), -1, true);
    const scaled = ops.run('Mul', r, ops.scalar(1 / rows));
    const gradient = ops.run('Mul', scaled, ops.run('Sub', this.#id(cost), mean));
    return this.#lossResult(logits, gradient, this.#total(mean, all, 1 / all));
  }

  squaredError(x: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    const ops = this.#ops;
    const [rows, cols] = x.shape;
    const difference = ops.run('Sub', this.#id(x), this.#id(target));
    const loss = this.#total(ops.run('Mul', difference, difference), rows * cols, 1 / rows);
    return this.#lossResult(x, ops.times(difference, 2 / rows), loss);
  }

  /** The sum of all entries times a factor, as a tensor [1]. */
  #total(x: Id, entries: number, factor: number): Id {
    return this.#ops.times(this.#ops.sum(this.#ops.reshape(x, 1, entries), 1), factor);
  }

  #lossResult(logits: Tensor, gradient: Id, loss: Id): { gradient: Tensor; loss: Tensor } {
    this.#ops.end(gradient, loss);
    return { gradient: this.#tensor(logits.shape, gradient), loss: this.#tensor([1], loss) };
  }

  quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    const ops = this.#ops;
    const [rows, dim] = x.shape;
    const [, k] = theta.shape;
    if (diagonal || dim <= WIDEST_PHI)
      return this.#result([rows, k], ops.matMul(this.#phi(x, diagonal), this.#id(theta)));
    const y = this.#withOnes(x);
    const u = ops.reshape(ops.matMul(y, this.#matricesOf(theta, dim)), rows, k, 1 + dim);
    const form = ops.batchMatMul(u, ops.reshape(y, rows, 1 + dim, 1));
    return this.#result([rows, k], ops.reshape(form, rows, k));
  }

  quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    if (diagonal || dim <= WIDEST_PHI)
      return this.#result([rows, phiLength(dim, diagonal)], this.#phi(x, diagonal));
    return Object.assign(this.#result([rows, 1 + dim], this.#withOnes(x)), { factors: true as const });
  }

  quadraticMoments(r: Tensor, features: Tensor): Tensor {
    const ops = this.#ops;
    const [rows, width] = features.shape;
    const k = r.shape[1];
    const y = this.#id(features);
    if (!(features as DeviceTensor).factors)
      return this.#result([k, width], ops.matMul(this.#id(r), y, 'TN'));
    const weighed = ops.run('Mul', ops.reshape(this.#id(r), rows, k, 1), ops.reshape(y, rows, 1, width));
    const sums = ops.matMul(ops.reshape(weighed, rows, k * width), y, 'TN');
    const p = phiLength(width - 1, false);
    const indices = ops.constant(`pairs${width}`, () => [productIndices(width - 1), [p]]);
    return this.#result([k, p], ops.gather(ops.reshape(sums, k, width * width), indices, 1));
  }

  /** (1, x). */
  #withOnes(x: Tensor): Id {
    const [rows] = x.shape;
    const ones = this.#ops.constant(`ones${rows}`, () => [new Float32Array(rows).fill(1), [rows, 1]]);
    return this.#ops.concat(ones, this.#id(x), 1);
  }

  /** φ(x) = (1,x)A ∘ (1,x)B (phi.ts): two products are faster than the columns one by one. */
  #phi(x: Tensor, diagonal: boolean): Id {
    const ops = this.#ops;
    const [, dim] = x.shape;
    const y = this.#withOnes(x);
    if (diagonal) return ops.concat(y, ops.run('Mul', this.#id(x), this.#id(x)), 1);
    const p = phiLength(dim, false);
    const half = (side: 0 | 1) =>
      ops.matMul(
        y,
        ops.constant(`choice${side}/${dim}`, () => [selectionMatrix(dim, side), [1 + dim, p]]),
      );
    return ops.run('Mul', half(0), half(1));
  }

  /** Θ [P,K] as [1+D, K·(1+D)]: for each cluster the upper triangular matrix M with (1,x)M(1,x)ᵀ = φ(x)·θ. */
  #matricesOf(theta: Tensor, dim: number): Id {
    const known = this.#matrices.get(theta);
    if (known !== undefined) return known;
    const ops = this.#ops;
    const [, k] = theta.shape;
    const side = 1 + dim;
    const indices = ops.constant(`square${dim}`, () => [formIndices(dim), [side * side]]);
    const zeros = ops.constant(`zeros${k}`, () => [new Float32Array(k), [1, k]]);
    const padded = ops.concat(this.#id(theta), zeros, 0);
    const square = ops.reshape(ops.gather(padded, indices, 0), side, side, k);
    const matrices = ops.keep(ops.reshape(ops.transpose(square, 0, 2, 1), side, k * side));
    this.#matrices.set(theta, matrices);
    return matrices;
  }

  whitenedDensity(u: Tensor, constant: Tensor): Tensor {
    const ops = this.#ops;
    const k = constant.shape.at(-1)!;
    const lead = u.shape.slice(0, -1);
    const squares = ops.reshape(ops.run('Square', this.#id(u)), ...lead, k, u.shape.at(-1)! / k);
    const half = ops.times(ops.sum(squares, -1), -0.5);
    const c = lead.length === 1 ? this.#id(constant) : ops.reshape(this.#id(constant), lead[0], 1, k);
    return this.#result([...lead, k], ops.run('AddV2', half, c));
  }

  squaredDistances(x: Tensor, centres: Tensor, metric: Tensor): Tensor {
    const ops = this.#ops;
    const [k, rows, dim] = x.shape;
    const j = centres.shape[1];
    const squares = ops.run(
      'SquaredDifference',
      ops.reshape(this.#id(x), k, rows, 1, dim),
      ops.reshape(this.#id(centres), k, 1, j, dim),
    );
    const weighed = ops.matMul(
      ops.reshape(squares, k * rows * j, dim),
      ops.reshape(this.#id(metric), dim, 1),
    );
    return this.#result([k, rows, j], ops.reshape(weighed, k, rows, j));
  }
}
