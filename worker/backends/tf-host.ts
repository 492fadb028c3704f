import { statisticsLength } from '../../model/statistics.ts';
import { elements } from '../../proto/tensors.ts';
import { stepKernel } from '../kernel/kernel.ts';
import type { Backend, Tensor } from './backend.ts';
import { type HostTensor, hostBackend, type Memory, type Product } from './host.ts';
import * as loops from './loops.ts';
import { WIDEST_PHI } from './phi.ts';
import type { Attribute, Binding, Id } from './tf-binding.ts';
import { tfDevice } from './tf-device.ts';
import type { WasmKernels } from './wasm.ts';

/** Products of fewer multiplications are XNNPACK's: a call of TensorFlow costs 20 µs, one of XNNPACK's 1 µs. */
const SMALL = 400_000;
/** Rows of a step, where nobody says otherwise: which way a net goes may not hang on more than its shape. */
const USUAL_BATCH = 128;
const ALIGNMENT = 64;

/** The same memory in blocks that begin at multiples of 64 bytes, which TensorFlow takes without copying them. */
function aligned({ allocate, release, view }: Memory): Memory {
  const begins = new Map<number, number>();
  return {
    allocate(size) {
      const begin = allocate(size + ALIGNMENT / 4);
      const address = Math.ceil(begin / ALIGNMENT) * ALIGNMENT;
      begins.set(address, begin);
      return address;
    },
    release(address) {
      release(begins.get(address)!);
      begins.delete(address);
    },
    view,
  };
}

/**
 * TensorFlow on the CPU, where its memory can be ours. Large products are TensorFlow's, five times as fast as those of
 * WASM. What is small goes the way of the WASM backend, by XNNPACK and plain loops: there a call is all that counts.
 */
export function tfHost(binding: Binding, identity: string, kernels: WasmKernels): Backend {
  const { TF_FLOAT: FLOAT } = binding;
  const memory = aligned(kernels.memory);
  const view = (tensor: Tensor) => memory.view((tensor as HostTensor).address, elements(tensor.shape));
  const flag = (name: string, value: boolean): Attribute => ({ name, type: binding.TF_ATTR_BOOL, value });
  const T: Attribute = { name: 'T', type: binding.TF_ATTR_TYPE, value: FLOAT };
  const turned = (a: boolean, b: boolean) => ({
    plain: [flag('transpose_a', a), flag('transpose_b', b), T],
    batched: [flag('adj_x', a), flag('adj_y', b), T],
  });
  const [NN, TN, NT] = [turned(false, false), turned(true, false), turned(false, true)];

  /** The product of two matrices, or of each of K, as an array of its own. */
  function multiply(a: Id, b: Id, batched: boolean, by: typeof NN): Float32Array {
    const [name, attributes] = batched
      ? (['BatchMatMulV2', by.batched] as const)
      : (['MatMul', by.plain] as const);
    const [{ id }] = binding.executeOp(name, attributes, [a, b], 1);
    const values = binding.tensorDataSync(id) as Float32Array;
    for (const used of [a, b, id]) binding.deleteTensor(used);
    return values;
  }
  // The binding shares the arena's memory while a product lasts.
  const share = (tensor: Tensor) => binding.createTensor(tensor.shape, FLOAT, view(tensor));
  const product = (a: Tensor, b: Tensor, by: typeof NN) =>
    multiply(share(a), share(b), a.shape.length === 3, by);

  const byTensorflow: Product = (a, m, k, b, n, bias, relu, out) => {
    const left = binding.createTensor([m, k], FLOAT, memory.view(a, m * k));
    const right = binding.createTensor([k, n], FLOAT, memory.view(b, k * n));
    const values = multiply(left, right, false, NN);
    if (bias) loops.addBias(values, memory.view(bias, n), 1, relu);
    memory.view(out, m * n).set(values);
  };
  const host = hostBackend(
    identity,
    memory,
    (a, m, k, b, n, bias, relu, out) =>
      (m * k * n < SMALL ? kernels.product : byTensorflow)(a, m, k, b, n, bias, relu, out),
    kernels.softmax,
    stepKernel(),
  );
  const isSmall = (x: Tensor, width: number) => elements(x.shape) * width < SMALL;

  // Where φ is too wide to be made by loops, the device's verbs are fast: on copies, which cost nothing beside them.
  const device = tfDevice(binding, identity);
  function onDevice(compute: (...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]): Tensor {
    const copies = tensors.map((tensor) => device.upload(view(tensor), tensor.shape));
    const out = compute(...copies);
    const id = (out as Tensor & { id: Id }).id;
    const found = host.upload(binding.tensorDataSync(id) as Float32Array, out.shape);
    device.free(...copies, out);
    return found;
  }
  const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
  /** Features that are (1, x). */
  const factors = new WeakSet<Tensor>();

  function gram(a: Tensor, b: Tensor): Tensor {
    const width = b.shape.at(-1)!;
    if (isSmall(a, width)) return host.gram(a, b);
    return host.upload(product(a, b, TN), [...a.shape.slice(0, -2), a.shape.at(-1)!, width]);
  }

  return {
    ...host,
    steps(net, ...rest) {
      const layers = net.shapes.filter((_, i) => i % 2 === 0).map((shape) => shape.slice(-2));
      const isWideNet = layers.some(([fanIn, fanOut]) => USUAL_BATCH * fanIn * fanOut >= SMALL);
      return isWideNet ? null : host.steps!(net, ...rest);
    },
    affine(x, w, b, relu) {
      if (isSmall(x, w.shape.at(-1)!)) return host.affine(x, w, b, relu);
      const values = product(x, w, NN);
      loops.addBias(values, view(b), x.shape.length === 3 ? x.shape[0] : 1, relu);
      return host.upload(values, [...x.shape.slice(0, -1), w.shape.at(-1)!]);
    },
    gram,
    reluGrad(g, w, h) {
      if (isSmall(g, h.shape.at(-1)!)) return host.reluGrad(g, w, h);
      const values = product(g, w, NT);
      loops.maskPositive(values, view(h));
      return host.upload(values, h.shape);
    },
    quadraticForm(x, theta, diagonal) {
      if (!isWide(x, diagonal)) return host.quadraticForm(x, theta, diagonal);
      return onDevice((a, b) => device.quadraticForm(a, b, diagonal), x, theta);
    },
    quadraticFeatures(x, diagonal) {
      if (!isWide(x, diagonal)) {
        // Row by row: TensorFlow is twice as fast at Rᵀ·Φ as at any other order.
        const [rows, dim] = x.shape;
        const p = statisticsLength(dim, diagonal ? 'diag' : 'full');
        const phi = new Float32Array(rows * p);
        loops.quadraticRows(view(x), rows, dim, diagonal, phi);
        return host.upload(phi, [rows, p]);
      }
      const made = onDevice((a) => device.quadraticFeatures(a, diagonal), x);
      factors.add(made);
      return made;
    },
    quadraticMoments(r, features) {
      if (factors.has(features))
        return onDevice(
          (a, b) => device.quadraticMoments(a, Object.assign(b, { factors: true })),
          r,
          features,
        );
      return gram(r, features);
    },
  };
}
