import { elementCount } from '../../../model/arrays.ts';
import { argmaxRows, product } from '../../../model/nets/net.ts';
import { statisticsLength } from '../../../model/statistics.ts';
import type { Backend, Loss, Tensor } from './backend.ts';

/** A backend on memory that JavaScript sees, with a native product where there is one. Formulas are those of backend.ts. */

/** Float32 memory that JavaScript can access. A `view` is valid until the next `allocate`, which may move the memory. */
export interface HostMemory {
  allocate(size: number): number;
  release(address: number): void;
  view(address: number, size: number): Float32Array;
}

/** out[m,n] = a[m,k]·b[k,n] (+ bias[n]), then ReLU if `relu`. All by address; bias 0 means none. */
export type Product = (
  a: number,
  m: number,
  k: number,
  b: number,
  n: number,
  bias: number,
  relu: boolean,
  out: number,
) => void;

/** Softmax of each row, by address. */
export type Softmax = (x: number, rows: number, cols: number, out: number) => void;

export interface HostTensor extends Tensor {
  readonly address: number;
  /** Its memory belongs to another tensor. */
  readonly borrowed?: true;
}

const BYTES = 4;
const addressOf = (tensor: Tensor) => (tensor as HostTensor).address;
/** A tensor as a stack of matrices: their number, rows and columns. */
const matrices = ({ shape }: Tensor) => ({
  count: elementCount(shape.slice(0, -2)),
  rows: shape.at(-2)!,
  cols: shape.at(-1)!,
});

/**
 * All operations over memory that JavaScript can access. Products, and softmax if given, use native kernels; the rest are plain loops,
 * which at these sizes cost less than the dispatch of a kernel. Their sums are float64, rounded once.
 */
export function hostBackend(identity: string, memory: HostMemory, product: Product, softmax?: Softmax) {
  let live = 0;
  /** An uninitialised tensor. */
  const make = (shape: readonly number[]): HostTensor => {
    live++;
    return { shape, address: memory.allocate(elementCount(shape)) };
  };
  /** Its values, not copied: valid until the next `make`. */
  const view = (tensor: Tensor) => memory.view(addressOf(tensor), elementCount(tensor.shape));
  /** The transpose of the matrix rows × cols at an address. */
  const transposed = (from: number, rows: number, cols: number): HostTensor => {
    const out = make([cols, rows]);
    transpose(memory.view(from, rows * cols), rows, cols, view(out));
    return out;
  };

  const backend: Backend = {
    identity,
    upload(values, shape) {
      const out = make(shape);
      view(out).set(values);
      return out;
    },
    read: async (tensor) => view(tensor).slice(),
    free(...tensors) {
      live -= tensors.length;
      for (const tensor of tensors as HostTensor[]) if (!tensor.borrowed) memory.release(tensor.address);
    },
    live: () => live,
    gather(x, index, shape) {
      const dim = x.shape[1];
      const out = make(shape ?? [index.length, dim]);
      const [from, to] = [view(x), view(out)];
      for (let i = 0, o = 0; i < index.length; i++)
        for (let d = 0, q = index[i] * dim; d < dim; d++, q++, o++) to[o] = from[q];
      return out;
    },
    slice(x, start, count) {
      live++;
      const dim = x.shape[1];
      const part: HostTensor = {
        shape: [count, dim],
        address: addressOf(x) + start * dim * BYTES,
        borrowed: true,
      };
      return part;
    },
    affine(x, w, b, relu) {
      const { count, rows, cols } = matrices(x);
      const width = w.shape.at(-1)!;
      const out = make([...x.shape.slice(0, -1), width]);
      for (let k = 0; k < count; k++) {
        const at = (tensor: Tensor, size: number) => addressOf(tensor) + k * size * BYTES;
        const [from, to] = [at(x, rows * cols), at(out, rows * width)];
        product(from, rows, cols, at(w, cols * width), width, at(b, width), relu, to);
      }
      return out;
    },
    /** The narrower matrix becomes the right operand: the kernel packs that one slowly, and a transpose is cheap. */
    gram(a, b) {
      const { count, rows, cols } = matrices(a);
      const width = b.shape.at(-1)!;
      const out = make([...a.shape.slice(0, -2), cols, width]);
      for (let k = 0; k < count; k++) {
        const left = addressOf(a) + k * rows * cols * BYTES;
        const right = addressOf(b) + k * rows * width * BYTES;
        const target = addressOf(out) + k * cols * width * BYTES;
        if (cols >= width) {
          const t = transposed(left, rows, cols);
          product(t.address, cols, rows, right, width, 0, false, target);
          backend.free(t);
        } else {
          const t = transposed(right, rows, width);
          const o = make([width, cols]);
          product(t.address, width, rows, left, cols, 0, false, o.address);
          transpose(view(o), width, cols, memory.view(target, cols * width));
          backend.free(t, o);
        }
      }
      return out;
    },
    plus(a, b, factor) {
      const out = make(a.shape);
      const [x, y, to] = [view(a), view(b), view(out)];
      for (let i = 0; i < x.length; i++) to[i] = x[i] + factor * y[i];
      return out;
    },
    columnSums(x) {
      const { count, rows, cols } = matrices(x);
      const out = make([...x.shape.slice(0, -2), cols]);
      const [from, to] = [view(x), view(out)];
      for (let k = 0, o = 0; k < count; k++) {
        const end = (k + 1) * rows * cols;
        for (let j = 0; j < cols; j++, o++) {
          let sum = 0;
          for (let q = k * rows * cols + j; q < end; q += cols) sum += from[q];
          to[o] = sum;
        }
      }
      return out;
    },
    reluGrad(g, w, h) {
      const { count, rows, cols } = matrices(g);
      const width = h.shape.at(-1)!;
      const out = make(h.shape);
      for (let k = 0; k < count; k++) {
        const t = transposed(addressOf(w) + k * width * cols * BYTES, width, cols);
        const target = out.address + k * rows * width * BYTES;
        product(addressOf(g) + k * rows * cols * BYTES, rows, cols, t.address, width, 0, false, target);
        backend.free(t);
      }
      maskPositive(view(out), view(h));
      return out;
    },
    adam(p, m, v, gradient, rate, step) {
      const [params, first, second, slope] = [p, m, v, gradient].map(view);
      const [byFirst, bySecond] = [rate / (1 - 0.9 ** step), 1 / (1 - 0.999 ** step)];
      for (let i = 0; i < params.length; i++) {
        const a = (first[i] = 0.9 * first[i] + 0.1 * slope[i]);
        const b = (second[i] = 0.999 * second[i] + 0.001 * slope[i] * slope[i]);
        params[i] -= (byFirst * a) / (Math.sqrt(bySecond * b) + 1e-8);
      }
    },
    softmaxRows(logits, epsilon) {
      const out = make(logits.shape);
      const cols = logits.shape.at(-1)!;
      if (softmax) softmax(addressOf(logits), elementCount(logits.shape) / cols, cols, out.address);
      else softmaxByLoops(view(logits), cols, view(out));
      const r = view(out);
      const scale = 1 / (1 + cols * epsilon);
      if (epsilon > 0) for (let i = 0; i < r.length; i++) r[i] = (r[i] + epsilon) * scale;
      return out;
    },
    argmaxRows: async (x) => argmaxRows(view(x), x.shape.at(-1)!),
    lossGradient(kind, outputs, target) {
      const { rows, cols, count } = matrices(outputs);
      const [gradient, loss] = [make(outputs.shape), make([1])];
      const [x, t, to] = [outputs, target, gradient].map(view);
      const sum =
        kind === 'squares' ? squares(x, t, 1 / rows, to) : softmaxLoss(kind, x, t, cols, 1 / rows, to);
      view(loss)[0] = sum / count;
      return { gradient, loss };
    },
    quadraticForm(x, theta, diagonal) {
      const [rows, dim] = x.shape;
      const [p, k] = theta.shape;
      const phi = make([rows, p]);
      quadraticRows(view(x), rows, dim, diagonal, view(phi));
      const out = make([rows, k]);
      product(phi.address, rows, p, addressOf(theta), k, 0, false, out.address);
      backend.free(phi);
      return out;
    },
    /** Stored as Φᵀ, so that `quadraticMoments` has the wide matrix on the left without a transpose. */
    quadraticFeatures(x, diagonal) {
      const [rows, dim] = x.shape;
      const phi = make([statisticsLength(dim, diagonal ? 'diag' : 'full'), rows]);
      const xt = transposed(addressOf(x), rows, dim);
      quadraticColumns(view(xt), rows, dim, diagonal, view(phi));
      backend.free(xt);
      return phi;
    },
    quadraticMoments(r, features) {
      const [p, rows] = features.shape;
      const k = r.shape[1];
      const sums = make([p, k]);
      product(addressOf(features), p, rows, addressOf(r), k, 0, false, sums.address);
      const out = transposed(sums.address, p, k);
      backend.free(sums);
      return out;
    },
    whitenedDensity(u, constant) {
      const k = constant.shape.at(-1)!;
      const { count, rows, cols } = matrices(u);
      const out = make([...u.shape.slice(0, -1), k]);
      const [from, constants, to] = [u, constant, out].map(view);
      for (let c = 0, o = 0, q = 0; c < count; c++)
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < k; j++, o++) {
            let sum = 0;
            for (const end = q + cols / k; q < end; q++) sum += from[q] * from[q];
            to[o] = constants[c * k + j] - 0.5 * sum;
          }
      return out;
    },
    squaredDistances(x, centres, metric) {
      const { count, rows, cols } = matrices(x);
      const parts = centres.shape.at(-2)!;
      const out = make([...x.shape.slice(0, -1), parts]);
      const [from, all, weights, to] = [x, centres, metric, out].map(view);
      for (let k = 0, q = 0, o = 0; k < count; k++)
        for (let i = 0; i < rows; i++, q += cols)
          for (let c = 0, p = k * parts * cols; c < parts; c++, o++) {
            let sum = 0;
            for (let d = 0; d < cols; d++, p++) {
              const delta = from[q + d] - all[p];
              sum += weights[d] * delta * delta;
            }
            to[o] = sum;
          }
      return out;
    },
  };
  return { ...backend, make, view };
}

type F32 = Float32Array;

function transpose(x: F32, rows: number, cols: number, out: F32): void {
  for (let j = 0; j < cols; j++) {
    const o = j * rows;
    for (let i = 0, q = j; i < rows; i++, q += cols) out[o + i] = x[q];
  }
}

/** x ← 0 where h, the output of a ReLU, is 0. By bit masks: branches on random signs take twice the time. */
function maskPositive(x: F32, h: F32): void {
  const bits = new Int32Array(x.buffer, x.byteOffset, x.length);
  const active = new Int32Array(h.buffer, h.byteOffset, h.length);
  for (let i = 0; i < bits.length; i++) bits[i] &= -active[i] >> 31;
}

function softmaxByLoops(x: F32, cols: number, out: F32): void {
  for (let o = 0; o < x.length; o += cols) {
    let top = x[o];
    for (let j = 1; j < cols; j++) if (x[o + j] > top) top = x[o + j];
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += out[o + j] = Math.exp(x[o + j] - top);
    const scale = 1 / sum;
    for (let j = 0; j < cols; j++) out[o + j] *= scale;
  }
}

/** Returns `scale` times the sum of the rows' losses; out ← its gradient by the logits x. r = softmax(x), log r by log-softmax. */
function softmaxLoss(kind: Loss, x: F32, target: F32, cols: number, scale: number, out: F32): number {
  const isCost = kind === 'cost';
  let loss = 0;
  for (let o = 0; o < x.length; o += cols) {
    let top = x[o];
    for (let j = 1; j < cols; j++) if (x[o + j] > top) top = x[o + j];
    let sum = 0;
    let mean = 0;
    for (let j = 0; j < cols; j++) {
      const e = Math.exp(x[o + j] - top);
      out[o + j] = e;
      sum += e;
      mean += e * target[o + j];
    }
    mean /= sum;
    if (isCost) loss += mean;
    const logSum = top + Math.log(sum);
    for (let j = 0; j < cols; j++) {
      const t = target[o + j];
      const r = out[o + j] / sum;
      out[o + j] = isCost ? r * (t - mean) * scale : (r - t) * scale;
      if (!isCost && t > 0) loss += t * (Math.log(t) - x[o + j] + logSum);
    }
  }
  return loss * scale;
}

function squares(x: F32, target: F32, scale: number, out: F32): number {
  let loss = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = x[i] - target[i];
    loss += difference * difference;
    out[i] = 2 * scale * difference;
  }
  return loss * scale;
}

/** φ of each row, row by row: out [rows,P]. */
function quadraticRows(x: F32, rows: number, dim: number, diagonal: boolean, out: F32): void {
  for (let i = 0, o = 0, q = 0; i < rows; i++, q += dim) {
    out[o++] = 1;
    for (let d = 0; d < dim; d++) out[o++] = x[q + d];
    for (let d = 0; d < dim; d++) {
      const value = x[q + d];
      const end = diagonal ? d + 1 : dim;
      for (let e = d; e < end; e++) out[o++] = value * x[q + e];
    }
  }
}

/** φ feature by feature, from x transposed [dim,rows]: out [P,rows]. */
function quadraticColumns(xt: F32, rows: number, dim: number, diagonal: boolean, out: F32): void {
  out.fill(1, 0, rows);
  out.set(xt.subarray(0, dim * rows), rows);
  let o = (1 + dim) * rows;
  for (let d = 0; d < dim; d++) {
    const end = diagonal ? d + 1 : dim;
    for (let e = d; e < end; e++, o += rows)
      for (let i = 0, a = d * rows, b = e * rows; i < rows; i++) out[o + i] = xt[a + i] * xt[b + i];
  }
}

/** Plain loops with float64 sums: the reference in tests, and the fallback where WebAssembly is not allowed. */
export function cpuBackend(): Backend {
  const blocks = new Map<number, Float32Array>();
  // Addresses are in bytes and never reused; an operation may use one in the middle of a block.
  let top = 4;
  const view = (address: number, size: number) => {
    const block = blocks.get(address);
    if (block) return block.subarray(0, size);
    for (const [start, values] of blocks) {
      const offset = (address - start) / 4;
      if (offset > 0 && offset < values.length) return values.subarray(offset, offset + size);
    }
    throw new Error(`no tensor at ${address}`);
  };
  return hostBackend(
    'cpu/1',
    {
      allocate(size) {
        const address = top;
        top += 4 * Math.max(size, 1);
        blocks.set(address, new Float32Array(size));
        return address;
      },
      release: (address) => void blocks.delete(address),
      view,
    },
    (a, m, k, b, n, bias, relu, out) =>
      product(view(a, m * k), m, k, view(b, k * n), n, bias ? view(bias, n) : null, relu, view(out, m * n)),
  );
}
