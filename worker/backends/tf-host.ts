import { elements } from '../../proto/tensors.ts';
import { stepKernel } from '../kernel/kernel.ts';
import type { Backend, Tensor } from './backend.ts';
import { type HostTensor, hostBackend, type Memory, type Product } from './host.ts';
import * as loops from './loops.ts';
import { WIDEST_PHI } from './phi.ts';
import type { Binding, Id } from './tf-binding.ts';
import { tfDevice } from './tf-device.ts';
import type { WasmKernels } from './wasm.ts';

/** Raised with every change here that changes bits: part of the numeric identity. */
export const TF_HOST_VERSION = 'host2';

/**
 * Products of fewer multiplications are XNNPACK's. TensorFlow would save half a millisecond on one of this size, and a
 * run has some hundreds of them: as much as it costs to load TensorFlow.
 */
const LARGE = 8_000_000;
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

/** aᵀ·b or a·b of arrays whose memory TensorFlow shares while it computes. */
function multiplier(binding: Binding) {
  const attributes = (transposed: boolean) => [
    { name: 'transpose_a', type: binding.TF_ATTR_BOOL, value: transposed },
    { name: 'transpose_b', type: binding.TF_ATTR_BOOL, value: false },
    { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
  ];
  const [plain, transposed] = [attributes(false), attributes(true)];
  return (
    a: Float32Array,
    shapeA: readonly number[],
    b: Float32Array,
    shapeB: readonly number[],
    transposeA = false,
  ): Float32Array => {
    const left = binding.createTensor(shapeA, binding.TF_FLOAT, a);
    const right = binding.createTensor(shapeB, binding.TF_FLOAT, b);
    const [{ id }] = binding.executeOp('MatMul', transposeA ? transposed : plain, [left, right], 1);
    const values = binding.tensorDataSync(id) as Float32Array;
    for (const used of [left, right, id]) binding.deleteTensor(used);
    return values;
  };
}

/**
 * TensorFlow on the CPU: the WASM backend whose large products are TensorFlow's, five times as fast. Shapes alone
 * decide. `load` is called with the first of them: a run without any does not load TensorFlow at all.
 */
export function tfHost(load: () => Binding, identity: string, kernels: WasmKernels, large = LARGE): Backend {
  const start = () => {
    const binding = load();
    return { binding, multiply: multiplier(binding), device: tfDevice(binding, identity) };
  };
  let started: ReturnType<typeof start> | undefined;
  const tensorflow = () => {
    started ??= start();
    return started;
  };

  const memory = aligned(kernels.memory);
  const view = (tensor: Tensor) => memory.view((tensor as HostTensor).address, elements(tensor.shape));
  const product: Product = (a, m, k, b, n, bias, relu, out) => {
    if (m * k * n < large) return kernels.product(a, m, k, b, n, bias, relu, out);
    const values = tensorflow().multiply(memory.view(a, m * k), [m, k], memory.view(b, k * n), [k, n]);
    if (bias) loops.addBias(values, memory.view(bias, n), 1, relu);
    memory.view(out, m * n).set(values);
  };
  const host = hostBackend(identity, memory, product, kernels.softmax, stepKernel());

  // Where φ is too wide to be made by loops, the device's verbs are fast: on copies, which cost nothing beside them.
  function onDevice(verb: (device: Backend, ...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]): Tensor {
    const { binding, device } = tensorflow();
    const copies = tensors.map((tensor) => device.upload(view(tensor), tensor.shape));
    const out = verb(device, ...copies);
    const { id } = out as Tensor & { id: Id };
    const found = host.upload(binding.tensorDataSync(id) as Float32Array, out.shape);
    device.free(...copies, out);
    return found;
  }
  const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
  /** Features that are (1, x). */
  const factors = new WeakSet<Tensor>();

  return {
    ...host,
    steps(net, ...rest) {
      const layers = net.shapes.filter((_, i) => i % 2 === 0).map((shape) => shape.slice(-2));
      const isWideNet = layers.some(([fanIn, fanOut]) => USUAL_BATCH * fanIn * fanOut >= large);
      return isWideNet ? null : host.steps!(net, ...rest);
    },
    gram(a, b) {
      const [rows, cols] = a.shape;
      const [, width] = b.shape;
      if (a.shape.length > 2 || rows * cols * width < large) return host.gram(a, b);
      const values = tensorflow().multiply(view(a), a.shape, view(b), b.shape, true);
      return host.upload(values, [cols, width]);
    },
    quadraticForm(x, theta, diagonal) {
      if (!isWide(x, diagonal)) return host.quadraticForm(x, theta, diagonal);
      return onDevice((device, a, b) => device.quadraticForm(a, b, diagonal), x, theta);
    },
    quadraticFeatures(x, diagonal) {
      if (!isWide(x, diagonal)) return host.quadraticFeatures(x, diagonal);
      const made = onDevice((device, a) => device.quadraticFeatures(a, diagonal), x);
      factors.add(made);
      return made;
    },
    quadraticMoments(r, features) {
      if (!factors.has(features)) return host.quadraticMoments(r, features);
      return onDevice(
        (device, a, b) => device.quadraticMoments(a, Object.assign(b, { factors: true })),
        r,
        features,
      );
    },
  };
}
