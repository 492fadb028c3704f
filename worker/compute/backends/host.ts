import { statisticsLength } from '../../../model/statistics.ts';
import { elements } from '../../../proto/tensors.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { Backend, Tensor } from './backend.ts';
import * as loops from './loops.ts';

/** Float32 memory that JavaScript can see. `view` is good until the next `allocate`, which may move the memory. */
export interface Memory {
  allocate(size: number): number;
  release(address: number): void;
  view(address: number, size: number): Float32Array;
}

/** out[m,n] = a[m,k]·b[k,n] (+ bias[n]) (rectified), all by address; bias 0 for none. */
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

export interface HostTensor extends Tensor {
  readonly address: number;
  /** Part of another tensor's memory. */
  readonly lent?: true;
}

const BYTES = 4;
/** The last two axes, and how many matrices stand before them. */
const matrices = ({ shape }: Tensor) => ({
  count: elements(shape.slice(0, -2)),
  rows: shape.at(-2)!,
  cols: shape.at(-1)!,
});

/**
 * All verbs over memory that JavaScript can see: products (and the softmax and whole steps, where there is such a
 * thing) by the device's own kernels, the rest by plain loops, which cost less than a kernel's dispatch at these sizes.
 */
export function hostBackend(
  identity: string,
  memory: Memory,
  product: Product,
  softmax?: (x: number, rows: number, cols: number, out: number) => void,
  kernels?: Kernels,
): Backend {
  let live = 0;
  const make = (shape: readonly number[]): HostTensor => {
    live++;
    return { shape, address: memory.allocate(elements(shape)) };
  };
  const at = (tensor: Tensor) => (tensor as HostTensor).address;
  const view = (tensor: Tensor) => memory.view(at(tensor), elements(tensor.shape));
  const free = (...tensors: Tensor[]) => {
    for (const tensor of tensors) {
      live--;
      if (!(tensor as HostTensor).lent) memory.release(at(tensor));
    }
  };
  const transposed = (source: Tensor, offset: number, rows: number, cols: number) => {
    const out = make([cols, rows]);
    const values = memory.view(at(source) + offset * BYTES, rows * cols);
    loops.transpose(values, rows, cols, view(out));
    return out;
  };

  function affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor {
    const { count, rows, cols } = matrices(x);
    const width = w.shape.at(-1)!;
    const out = make([...x.shape.slice(0, -1), width]);
    for (let k = 0; k < count; k++) {
      product(
        at(x) + k * rows * cols * BYTES,
        rows,
        cols,
        at(w) + k * cols * width * BYTES,
        width,
        at(b) + k * width * BYTES,
        relu,
        at(out) + k * rows * width * BYTES,
      );
    }
    return out;
  }

  /** The kernel packs its right side slowly and a transpose is cheap: the narrow matrix goes right. */
  function gram(a: Tensor, b: Tensor): Tensor {
    const { count, rows, cols } = matrices(a);
    const width = b.shape.at(-1)!;
    const out = make([...a.shape.slice(0, -2), cols, width]);
    for (let k = 0; k < count; k++) {
      const left = at(a) + k * rows * cols * BYTES;
      const right = at(b) + k * rows * width * BYTES;
      const target = at(out) + k * cols * width * BYTES;
      if (cols >= width) {
        const t = transposed(a, k * rows * cols, rows, cols);
        product(at(t), cols, rows, right, width, 0, false, target);
        free(t);
      } else {
        const t = transposed(b, k * rows * width, rows, width);
        const o = make([width, cols]);
        product(at(t), width, rows, left, cols, 0, false, at(o));
        loops.transpose(view(o), width, cols, memory.view(target, cols * width));
        free(t, o);
      }
    }
    return out;
  }

  function reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor {
    const { count, rows, cols } = matrices(g);
    const width = h.shape.at(-1)!;
    const out = make(h.shape);
    for (let k = 0; k < count; k++) {
      const t = transposed(w, k * width * cols, width, cols);
      const target = at(out) + k * rows * width * BYTES;
      product(at(g) + k * rows * cols * BYTES, rows, cols, at(t), width, 0, false, target);
      free(t);
    }
    loops.maskPositive(view(out), view(h));
    return out;
  }

  function gradientOf(loop: typeof loops.klGradient) {
    return (logits: Tensor, other: Tensor) => {
      const { rows, cols, count } = matrices(logits);
      const gradient = make(logits.shape);
      const loss = make([1]);
      view(loss)[0] = loop(view(logits), view(other), count * rows, cols, 1 / rows, view(gradient)) / count;
      return { gradient, loss };
    };
  }

  function quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    const [p, k] = theta.shape;
    const phi = make([rows, p]);
    loops.quadraticRows(view(x), rows, dim, diagonal, view(phi));
    const out = make([rows, k]);
    product(at(phi), rows, p, at(theta), k, 0, false, at(out));
    free(phi);
    return out;
  }

  /** As Φᵀ, so that in the product with R the wide matrix is on the left without a transpose. */
  function quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    const p = statisticsLength(dim, diagonal ? 'diag' : 'full');
    const phi = make([p, rows]);
    const xt = transposed(x, 0, rows, dim);
    loops.quadraticColumns(view(xt), rows, dim, diagonal, view(phi));
    free(xt);
    return phi;
  }

  function quadraticMoments(r: Tensor, features: Tensor): Tensor {
    const [p, rows] = features.shape;
    const k = r.shape[1];
    const sums = make([p, k]);
    product(at(features), p, rows, at(r), k, 0, false, at(sums));
    const out = transposed(sums, 0, p, k);
    free(sums);
    return out;
  }

  return {
    identity,
    live: () => live,
    free,
    affine,
    gram,
    reluGrad,
    quadraticForm,
    quadraticFeatures,
    quadraticMoments,
    klGradient: gradientOf(loops.klGradient),
    costGradient: gradientOf(loops.costGradient),
    upload(values, shape) {
      const out = make(shape);
      view(out).set(values);
      return out;
    },
    read: async (tensor) => view(tensor).slice(),
    argmaxRows: async (x) => loops.argmaxRows(view(x), elements(x.shape.slice(0, -1)), x.shape.at(-1)!),
    gather(x, index, shape) {
      const dim = x.shape[1];
      const out = make(shape ?? [index.length, dim]);
      loops.gather(view(x), index, dim, view(out));
      return out;
    },
    slice(x, start, count): HostTensor {
      const dim = x.shape[1];
      live++;
      return { shape: [count, dim], address: at(x) + start * dim * BYTES, lent: true };
    },
    columnSums(x) {
      const { count, rows, cols } = matrices(x);
      const out = make([...x.shape.slice(0, -2), cols]);
      loops.columnSums(view(x), count, rows, cols, view(out));
      return out;
    },
    steps:
      kernels &&
      ((net, batches, loss, rate, done) => {
        function* seen() {
          for (const { x, target } of batches) yield { x: view(x), target: view(target) };
        }
        return kernels.steps(net, seen(), loss, rate, done);
      }),
    adam: (p, m, v, gradient, rate, step) =>
      loops.adam(view(p), view(m), view(v), view(gradient), rate, step),
    softmaxRows(logits, epsilon) {
      const out = make(logits.shape);
      const cols = logits.shape.at(-1)!;
      if (softmax) softmax(at(logits), elements(logits.shape) / cols, cols, at(out));
      else loops.softmaxRows(view(logits), cols, view(out));
      if (epsilon > 0) loops.smooth(view(out), epsilon, cols);
      return out;
    },
    whitenedDensity(u, constant) {
      const k = constant.shape.at(-1)!;
      const { count, rows, cols } = matrices(u);
      const out = make([...u.shape.slice(0, -1), k]);
      loops.whitenedDensity(view(u), view(constant), count, rows, k, cols / k, view(out));
      return out;
    },
    logDensity:
      kernels &&
      ((x, w, b, constant) => {
        const { count, rows } = matrices(x);
        const k = constant.shape.at(-1)!;
        const out = make([...x.shape.slice(0, -1), k]);
        const part = (values: Float32Array, i: number) =>
          values.subarray((i * values.length) / count, ((i + 1) * values.length) / count);
        const [from, weights, bias, constants, to] = [x, w, b, constant, out].map(view);
        for (let i = 0; i < count; i++)
          kernels.logDensity(
            part(from, i),
            part(weights, i),
            part(bias, i),
            part(constants, i),
            to.subarray(i * rows * k, (i + 1) * rows * k),
          );
        return out;
      }),
    squaredDistances(x, centres, metric) {
      const { count, rows, cols } = matrices(x);
      const j = centres.shape.at(-2)!;
      const out = make([...x.shape.slice(0, -1), j]);
      loops.squaredDistances(view(x), view(centres), view(metric), count, rows, cols, j, view(out));
      return out;
    },
  };
}
