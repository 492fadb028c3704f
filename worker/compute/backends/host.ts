import { elementCount } from '../../../model/arrays.ts';
import { argmaxRows } from '../../../model/nets/net.ts';
import type { Backend, Tensor } from './backend.ts';
import * as loops from './loops.ts';
import { phiLength } from './phi.ts';

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

interface HostTensor extends Tensor {
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
 * All operations over memory that JavaScript can access. Products, and softmax if given, use native kernels; the rest are
 * plain loops, which at these sizes cost less than the dispatch of a kernel.
 */
export class HostBackend implements Backend {
  readonly identity: string;
  readonly #memory: HostMemory;
  readonly #product: Product;
  readonly #softmax: Softmax | undefined;
  #live = 0;

  constructor(identity: string, memory: HostMemory, product: Product, softmax?: Softmax) {
    this.identity = identity;
    this.#memory = memory;
    this.#product = product;
    this.#softmax = softmax;
  }

  upload(values: Float32Array, shape: readonly number[]): Tensor {
    const out = this.make(shape);
    this.view(out).set(values);
    return out;
  }

  async read(tensor: Tensor): Promise<Float32Array> {
    return this.view(tensor).slice();
  }

  free(...tensors: Tensor[]): void {
    for (const tensor of tensors as HostTensor[]) {
      this.#live--;
      if (!tensor.borrowed) this.#memory.release(tensor.address);
    }
  }

  live(): number {
    return this.#live;
  }

  /** An uninitialised tensor. */
  protected make(shape: readonly number[]): Tensor {
    const tensor: HostTensor = { shape, address: this.#memory.allocate(elementCount(shape)) };
    this.#live++;
    return tensor;
  }

  /** Its values, not copied: valid until the next `make`. */
  protected view(tensor: Tensor): Float32Array {
    return this.#memory.view(addressOf(tensor), elementCount(tensor.shape));
  }

  /** The transpose of the matrix rows × cols that begins at element `offset` of a tensor. */
  #transposed(source: Tensor, offset: number, rows: number, cols: number): Tensor {
    const out = this.make([cols, rows]);
    const values = this.#memory.view(addressOf(source) + offset * BYTES, rows * cols);
    loops.transpose(values, rows, cols, this.view(out));
    return out;
  }

  gather(x: Tensor, index: Int32Array | Uint32Array, shape?: readonly number[]): Tensor {
    const dim = x.shape[1];
    const out = this.make(shape ?? [index.length, dim]);
    loops.gather(this.view(x), index, dim, this.view(out));
    return out;
  }

  slice(x: Tensor, start: number, count: number): Tensor {
    const dim = x.shape[1];
    const part: HostTensor = {
      shape: [count, dim],
      address: addressOf(x) + start * dim * BYTES,
      borrowed: true,
    };
    this.#live++;
    return part;
  }

  affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor {
    const { count, rows, cols } = matrices(x);
    const width = w.shape.at(-1)!;
    const out = this.make([...x.shape.slice(0, -1), width]);
    for (let k = 0; k < count; k++) {
      this.#product(
        addressOf(x) + k * rows * cols * BYTES,
        rows,
        cols,
        addressOf(w) + k * cols * width * BYTES,
        width,
        addressOf(b) + k * width * BYTES,
        relu,
        addressOf(out) + k * rows * width * BYTES,
      );
    }
    return out;
  }

  /** The narrower matrix becomes the right operand: the kernel packs that one slowly, and a transpose is cheap. */
  gram(a: Tensor, b: Tensor): Tensor {
    const { count, rows, cols } = matrices(a);
    const width = b.shape.at(-1)!;
    const out = this.make([...a.shape.slice(0, -2), cols, width]);
    for (let k = 0; k < count; k++) {
      const left = addressOf(a) + k * rows * cols * BYTES;
      const right = addressOf(b) + k * rows * width * BYTES;
      const target = addressOf(out) + k * cols * width * BYTES;
      if (cols >= width) {
        const t = this.#transposed(a, k * rows * cols, rows, cols);
        this.#product(addressOf(t), cols, rows, right, width, 0, false, target);
        this.free(t);
      } else {
        const t = this.#transposed(b, k * rows * width, rows, width);
        const o = this.make([width, cols]);
        this.#product(addressOf(t), width, rows, left, cols, 0, false, addressOf(o));
        loops.transpose(this.view(o), width, cols, this.#memory.view(target, cols * width));
        this.free(t, o);
      }
    }
    return out;
  }

  plus(a: Tensor, b: Tensor, factor: number): Tensor {
    const out = this.make(a.shape);
    loops.plus(this.view(a), this.view(b), factor, this.view(out));
    return out;
  }

  columnSums(x: Tensor): Tensor {
    const { count, rows, cols } = matrices(x);
    const out = this.make([...x.shape.slice(0, -2), cols]);
    loops.columnSums(this.view(x), count, rows, cols, this.view(out));
    return out;
  }

  reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor {
    const { count, rows, cols } = matrices(g);
    const width = h.shape.at(-1)!;
    const out = this.make(h.shape);
    for (let k = 0; k < count; k++) {
      const t = this.#transposed(w, k * width * cols, width, cols);
      const from = addressOf(g) + k * rows * cols * BYTES;
      const target = addressOf(out) + k * rows * width * BYTES;
      this.#product(from, rows, cols, addressOf(t), width, 0, false, target);
      this.free(t);
    }
    loops.maskPositive(this.view(out), this.view(h));
    return out;
  }

  adam(p: Tensor, m: Tensor, v: Tensor, gradient: Tensor, rate: number, step: number): void {
    loops.adam(this.view(p), this.view(m), this.view(v), this.view(gradient), rate, step);
  }

  softmaxRows(logits: Tensor, epsilon: number): Tensor {
    const out = this.make(logits.shape);
    const cols = logits.shape.at(-1)!;
    const rows = elementCount(logits.shape) / cols;
    if (this.#softmax) this.#softmax(addressOf(logits), rows, cols, addressOf(out));
    else loops.softmaxRows(this.view(logits), cols, this.view(out));
    if (epsilon > 0) loops.smooth(this.view(out), epsilon, cols);
    return out;
  }

  async argmaxRows(x: Tensor): Promise<Int32Array> {
    return argmaxRows(this.view(x), x.shape.at(-1)!);
  }

  klGradient(logits: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    return this.#gradient(loops.klGradient, logits, target);
  }

  costGradient(logits: Tensor, cost: Tensor): { gradient: Tensor; loss: Tensor } {
    return this.#gradient(loops.costGradient, logits, cost);
  }

  squaredError(x: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    return this.#gradient(loops.squaredError, x, target);
  }

  #gradient(loop: typeof loops.klGradient, logits: Tensor, other: Tensor) {
    const { rows, cols, count } = matrices(logits);
    const gradient = this.make(logits.shape);
    const loss = this.make([1]);
    const all = count * rows;
    this.view(loss)[0] =
      loop(this.view(logits), this.view(other), all, cols, 1 / rows, this.view(gradient)) / count;
    return { gradient, loss };
  }

  quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    const [p, k] = theta.shape;
    const phi = this.make([rows, p]);
    loops.quadraticRows(this.view(x), rows, dim, diagonal, this.view(phi));
    const out = this.make([rows, k]);
    this.#product(addressOf(phi), rows, p, addressOf(theta), k, 0, false, addressOf(out));
    this.free(phi);
    return out;
  }

  /** Stored as Φᵀ, so that `quadraticMoments` has the wide matrix on the left without a transpose. */
  quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    const phi = this.make([phiLength(dim, diagonal), rows]);
    const xt = this.#transposed(x, 0, rows, dim);
    loops.quadraticColumns(this.view(xt), rows, dim, diagonal, this.view(phi));
    this.free(xt);
    return phi;
  }

  quadraticMoments(r: Tensor, features: Tensor): Tensor {
    const [p, rows] = features.shape;
    const k = r.shape[1];
    const sums = this.make([p, k]);
    this.#product(addressOf(features), p, rows, addressOf(r), k, 0, false, addressOf(sums));
    const out = this.#transposed(sums, 0, p, k);
    this.free(sums);
    return out;
  }

  whitenedDensity(u: Tensor, constant: Tensor): Tensor {
    const k = constant.shape.at(-1)!;
    const { count, rows, cols } = matrices(u);
    const out = this.make([...u.shape.slice(0, -1), k]);
    loops.whitenedDensity(this.view(u), this.view(constant), count, rows, k, cols / k, this.view(out));
    return out;
  }

  squaredDistances(x: Tensor, centres: Tensor, metric: Tensor): Tensor {
    const { count, rows, cols } = matrices(x);
    const j = centres.shape.at(-2)!;
    const out = this.make([...x.shape.slice(0, -1), j]);
    const [rowsOfX, to] = [this.view(x), this.view(out)];
    loops.squaredDistances(rowsOfX, this.view(centres), this.view(metric), count, rows, cols, j, to);
    return out;
  }
}
