import { elementCount } from '../../../model/arrays.ts';
import { statisticsLength, WIDEST_PHI } from '../../../model/statistics.ts';
import type { Backend, ComputeDevice, Tensor } from './backend.ts';

/** A backend composed of a library's operations on a device (`Ops`), for TensorFlow and WebGPU alike. Formulas are those of backend.ts. */

/** Which operand of a product is transposed: none, the left or the right one. */
export type Transposition = 'NN' | 'TN' | 'NT';

/** Operations by TensorFlow's names. */
export type Operation =
  | 'AddV2'
  | 'BiasAdd'
  | 'Exp'
  | 'LogSoftmax'
  | 'Mul'
  | 'MulNoNan'
  | 'Relu'
  | 'ReluGrad'
  | 'Softmax'
  | 'Square'
  | 'SquaredDifference'
  | 'Sub'
  | 'Xlogy';

export interface DeviceTensor<T> extends Tensor {
  /** Its current value; null if `valueAfterAdam` has yet to say it. */
  id: T | null;
  /** It is (1, x) in place of φ(x), which would be too wide. */
  factors?: true;
}

/** What a library computes on tensors T of its device. Results are temporary unless it says otherwise: `end` deletes them. */
export interface Ops<T> {
  /** A tensor that `end` does not delete. It may share the memory of `values`. */
  create(values: Float32Array | Int32Array, shape: readonly number[]): T;
  temporary(values: Float32Array | Int32Array, shape: readonly number[]): T;
  /** A tensor that is created once, and cached by its key. */
  constant(key: string, compute: () => [values: Float32Array | Int32Array, shape: readonly number[]]): T;
  read(x: T): Float32Array | Int32Array | Promise<Float32Array | Int32Array>;
  delete(x: T): void;
  /** Ends an operation of the backend: deletes all temporary tensors but the results. */
  end(...results: T[]): void;
  run(operation: Operation, ...inputs: T[]): T;
  /** The product of two matrices, or of two stacks of them. */
  matMul(a: T, b: T, transposition?: Transposition, isStack?: boolean): T;
  reshape(x: T, ...shape: number[]): T;
  /** Sums along an axis, which is removed, or kept with length 1. */
  sum(x: T, axis: number, keepAxis?: boolean): T;
  /** Index of the largest entry of each row. */
  argMax(x: T): T;
  slice(x: T, begin: number[], size: number[]): T;
  concat(a: T, b: T, axis: number): T;
  gather(x: T, indices: T, axis: number): T;
  /** Changes the values of these tensors, see `adam` in backend.ts. */
  adam(changed: DeviceTensor<T>[], gradient: T, rate: number, step: number): void;
  /** The value of a tensor after `adam`. */
  valueAfterAdam?(tensor: DeviceTensor<T>): T;
  /** `adam` may reuse what it keeps of this tensor. */
  released?(tensor: DeviceTensor<T>): void;
}

/** All operations as operations of a library, with tensors on its device. */
export function deviceBackend<T>(identity: string, ops: Ops<T>, device?: ComputeDevice) {
  const { run, matMul, reshape, sum, gather, concat, constant } = ops;
  let live = 0;

  const tensor = (shape: readonly number[], id: T): DeviceTensor<T> => {
    live++;
    return { shape, id };
  };
  /** Ends an operation that has one result. */
  const result = (shape: readonly number[], id: T) => {
    ops.end(id);
    return tensor(shape, id);
  };
  const idOf = (of: Tensor): T => {
    const own = of as DeviceTensor<T>;
    own.id ??= ops.valueAfterAdam!(own);
    return own.id;
  };
  const times = (x: T, factor: number) =>
    run(
      'Mul',
      x,
      constant(`f${factor}`, () => [Float32Array.of(factor), []]),
    );
  /** The product of two matrices, or of each of K. */
  const product = (a: Tensor, b: Tensor, transposition: Transposition) =>
    matMul(idOf(a), idOf(b), transposition, a.shape.length > 2);
  /** The sum of all entries times a factor, as a tensor [1]. */
  const total = (x: T, entries: number, factor: number) => times(sum(reshape(x, 1, entries), 1), factor);

  /** Gradients by the outputs of a net, and values [1], from outputs and targets. */
  const LOSSES = {
    /** By log-softmax: TensorFlow's cross-entropy is not deterministic on a GPU. */
    kl(x: T, t: T, [rows, cols, entries]: number[]) {
      const logR = run('LogSoftmax', x);
      const difference = run('Sub', run('Exp', logR), t);
      // A target of 0 adds nothing, even if log r is −∞.
      const divergence = run('Sub', run('Xlogy', t, t), run('MulNoNan', logR, t));
      const loss = total(divergence, entries, cols / entries);
      return [times(difference, 1 / rows), loss];
    },
    cost(x: T, cost: T, [rows, cols, entries]: number[]) {
      const r = run('Softmax', x);
      const mean = sum(run('Mul', r, cost), -1, true);
      const gradient = run('Mul', times(r, 1 / rows), run('Sub', cost, mean));
      return [gradient, total(mean, entries / cols, cols / entries)];
    },
    squares(x: T, t: T, [rows, , entries]: number[]) {
      const difference = run('Sub', x, t);
      const loss = total(run('Mul', difference, difference), entries, 1 / rows);
      return [times(difference, 2 / rows), loss];
    },
  };

  /** (1, x). */
  const withOnes = (x: Tensor): T => {
    const [rows] = x.shape;
    return concat(
      constant(`ones${rows}`, () => [new Float32Array(rows).fill(1), [rows, 1]]),
      idOf(x),
      1,
    );
  };
  /** φ(x) = (1,x)A ∘ (1,x)B: two products are faster than the columns one by one. */
  const phi = (x: Tensor, diagonal: boolean): T => {
    const [, dim] = x.shape;
    const y = withOnes(x);
    if (diagonal) return concat(y, run('Mul', idOf(x), idOf(x)), 1);
    const half = (side: 0 | 1) => {
      const shape = [1 + dim, statisticsLength(dim, 'full')];
      return matMul(
        y,
        constant(`choice${side}/${dim}`, () => [selectionMatrix(dim, side), shape]),
      );
    };
    return run('Mul', half(0), half(1));
  };

  const backend: Backend = {
    identity,
    device,
    upload: (values, shape) => tensor(shape, ops.create(values.slice(), shape)),
    read: async (x) => (await ops.read(idOf(x))) as Float32Array,
    free(...tensors) {
      live -= tensors.length;
      for (const each of tensors as DeviceTensor<T>[]) {
        if (each.id !== null) ops.delete(each.id);
        ops.released?.(each);
      }
    },
    live: () => live,
    gather(x, index, shape = [index.length, x.shape[1]]) {
      const indices = ops.temporary(Int32Array.from(index), shape.slice(0, -1));
      return result(shape, gather(idOf(x), indices, 0));
    },
    slice(x, start, count) {
      const shape = [count, x.shape[1]];
      return result(shape, ops.slice(idOf(x), [start, 0], shape));
    },
    affine(x, w, b, relu) {
      const width = w.shape.at(-1)!;
      const xw = product(x, w, 'NN');
      const biased =
        x.shape.length === 2
          ? run('BiasAdd', xw, idOf(b))
          : run('AddV2', xw, reshape(idOf(b), x.shape[0], 1, width));
      return result([...x.shape.slice(0, -1), width], relu ? run('Relu', biased) : biased);
    },
    gram: (a, b) => result([...a.shape.slice(0, -2), a.shape.at(-1)!, b.shape.at(-1)!], product(a, b, 'TN')),
    plus: (a, b, factor) => result(a.shape, run('AddV2', idOf(a), times(idOf(b), factor))),
    columnSums: (x) => result([...x.shape.slice(0, -2), x.shape.at(-1)!], sum(idOf(x), -2)),
    reluGrad: (g, w, h) => result(h.shape, run('ReluGrad', product(g, w, 'NT'), idOf(h))),
    adam: (p, m, v, gradient, rate, step) =>
      ops.adam([p, m, v] as DeviceTensor<T>[], idOf(gradient), rate, step),
    softmaxRows(logits, epsilon) {
      const r = run('Softmax', idOf(logits));
      if (epsilon === 0) return result(logits.shape, r);
      const smoothed = run(
        'AddV2',
        r,
        constant(`f${epsilon}`, () => [Float32Array.of(epsilon), []]),
      );
      return result(logits.shape, times(smoothed, 1 / (1 + logits.shape.at(-1)! * epsilon)));
    },
    async argmaxRows(x) {
      const indices = ops.argMax(idOf(x));
      ops.end(indices);
      const values = await ops.read(indices);
      ops.delete(indices);
      return Int32Array.from(values);
    },
    lossGradient(kind, outputs, target) {
      const { shape } = outputs;
      const sizes = [shape.at(-2)!, shape.at(-1)!, elementCount(shape)];
      const [gradient, loss] = LOSSES[kind](idOf(outputs), idOf(target), sizes);
      ops.end(gradient, loss);
      return { gradient: tensor(shape, gradient), loss: tensor([1], loss) };
    },
    quadraticForm: (x, theta, diagonal) =>
      result([x.shape[0], theta.shape[1]], matMul(phi(x, diagonal), idOf(theta))),
    quadraticFeatures(x, diagonal) {
      const [rows, dim] = x.shape;
      if (diagonal || dim <= WIDEST_PHI)
        return result([rows, statisticsLength(dim, diagonal ? 'diag' : 'full')], phi(x, diagonal));
      return Object.assign(result([rows, 1 + dim], withOnes(x)), { factors: true as const });
    },
    quadraticMoments(r, features) {
      const [rows, width] = features.shape;
      const k = r.shape[1];
      const y = idOf(features);
      if (!(features as DeviceTensor<T>).factors) return result([k, width], matMul(idOf(r), y, 'TN'));
      const weighed = run('Mul', reshape(idOf(r), rows, k, 1), reshape(y, rows, 1, width));
      const sums = matMul(reshape(weighed, rows, k * width), y, 'TN');
      const pairs = factorPairs(width - 1);
      const indices = constant(`pairs${width}`, () => [
        Int32Array.from(pairs, ([i, j]) => i * width + j),
        [pairs.length],
      ]);
      return result([k, pairs.length], gather(reshape(sums, k, width * width), indices, 1));
    },
    whitenedDensity(u, constants) {
      const k = constants.shape.at(-1)!;
      const lead = u.shape.slice(0, -1);
      const squares = reshape(run('Square', idOf(u)), ...lead, k, u.shape.at(-1)! / k);
      const half = times(sum(squares, -1), -0.5);
      const c = lead.length === 1 ? idOf(constants) : reshape(idOf(constants), lead[0], 1, k);
      return result([...lead, k], run('AddV2', half, c));
    },
    squaredDistances(x, centres, metric) {
      const [k, rows, dim] = x.shape;
      const parts = centres.shape[1];
      const [xs, cs] = [reshape(idOf(x), k, rows, 1, dim), reshape(idOf(centres), k, 1, parts, dim)];
      const squares = reshape(run('SquaredDifference', xs, cs), k * rows * parts, dim);
      const weighed = matMul(squares, reshape(idOf(metric), dim, 1));
      return result([k, rows, parts], reshape(weighed, k, rows, parts));
    },
  };
  return { ...backend, idOf };
}

/**
 * For each entry of φ(x) = (1, x, vech xxᵀ) the indices in (1, x) of its two factors: φ(x) = (1,x)A ∘ (1,x)B with matrices A and B of zeros
 * and ones (exact), as devices without loops compute it.
 */
function factorPairs(dim: number): [number, number][] {
  const pairs: [number, number][] = [[0, 0]];
  for (let d = 1; d <= dim; d++) pairs.push([0, d]);
  for (let d = 1; d <= dim; d++) for (let e = d; e <= dim; e++) pairs.push([d, e]);
  return pairs;
}

/** The matrix A (side 0) or B (side 1), [1+D,P], which selects one factor of each entry of φ. */
function selectionMatrix(dim: number, side: 0 | 1): Float32Array {
  const pairs = factorPairs(dim);
  const out = new Float32Array((1 + dim) * pairs.length);
  for (const [column, pair] of pairs.entries()) out[pair[side] * pairs.length + column] = 1;
  return out;
}

/** Constants (indices, shapes, scalars) that are kept for reuse, up to this many. */
export const KEPT_CONSTANTS = 4096;
