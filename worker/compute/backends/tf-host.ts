import { WIDEST_PHI } from '../../../model/statistics.ts';
import type { Backend, FlatNet, Tensor } from './backend.ts';
import { deviceBackend } from './device.ts';
import type { HostMemory } from './host.ts';
import type { Attribute, Binding, Id } from './tf-binding.ts';
import { tfOps } from './tf-ops.ts';
import { type WasmKernels, wasmOn } from './wasm.ts';

/** Part of the numeric identity: increase it with every change here that changes bits. */
export const TF_HOST_VERSION = 'host2';

/**
 * Products with fewer multiplications stay with XNNPACK. At this size TensorFlow saves half a millisecond, and a run has some
 * hundreds of such products: together they save what it costs to load TensorFlow.
 */
const MIN_MULTIPLICATIONS = 8_000_000;
/** So do products whose sums have fewer terms: reading the result from TensorFlow takes as long as computing it. */
const MIN_TERMS = 48;
/** Is TensorFlow faster for a product of m×k and k×n? */
const isFaster = (m: number, k: number, n: number) => m * k * n >= MIN_MULTIPLICATIONS && k >= MIN_TERMS;
/** The batch size that `training` assumes: which kernel trains a net may depend on the net's shape only. */
const USUAL_BATCH = 128;
const ALIGNMENT = 64;

/** The same memory in blocks aligned to 64 bytes, which TensorFlow uses without copying. */
function aligned({ allocate, release, view }: HostMemory): HostMemory {
  const starts = new Map<number, number>();
  return {
    allocate(size) {
      const start = allocate(size + ALIGNMENT / 4);
      const address = Math.ceil(start / ALIGNMENT) * ALIGNMENT;
      starts.set(address, start);
      return address;
    },
    release(address) {
      release(starts.get(address)!);
      starts.delete(address);
    },
    view,
  };
}

interface Matrix {
  values: Float32Array;
  shape: readonly number[];
}

/** Computes products with TensorFlow, which shares the memory of the operands meanwhile. */
function multiplier(binding: Binding) {
  const T = { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
  const flag = (name: string, value: boolean) => ({ name, type: binding.TF_ATTR_BOOL, value });

  return (op: 'ab' | 'aᵀb', a: Matrix, b: Matrix, bias?: Float32Array, relu = false): Float32Array => {
    const temporary: Id[] = [];
    const track = (id: Id) => {
      temporary.push(id);
      return id;
    };
    const wrap = ({ values, shape }: Matrix) => track(binding.createTensor(shape, binding.TF_FLOAT, values));
    const run = (name: string, attributes: Attribute[], ...inputs: Id[]) =>
      track(binding.executeOp(name, attributes, inputs, 1)[0].id);
    const product = [flag('transpose_a', op === 'aᵀb'), flag('transpose_b', false), T];
    let out = run('MatMul', product, wrap(a), wrap(b));
    if (bias) out = run('BiasAdd', [T], out, wrap({ values: bias, shape: [bias.length] }));
    if (relu) out = run('Relu', [T], out);
    const values = binding.tensorDataSync(out) as Float32Array;
    for (const id of temporary) binding.deleteTensor(id);
    return values;
  };
}

/**
 * TensorFlow on the CPU: the WASM backend, except that TensorFlow computes large products, three to five times as fast.
 * `usesTensorflow` decides by the shapes alone. `load` is called at the first such product: a run without any never loads
 * TensorFlow.
 */
export function tfHost(
  load: () => Binding,
  identity: string,
  kernels: WasmKernels,
  usesTensorflow = isFaster,
): Backend {
  const memory = aligned(kernels.memory);
  const start = () => {
    const binding = load();
    const ops = tfOps(binding, 'TensorFlow');
    return { ops, multiply: multiplier(binding), device: deviceBackend(identity, ops) };
  };
  let started: ReturnType<typeof start> | undefined;
  const tensorflow = () => (started ??= start());

  const wasm = wasmOn(identity, {
    memory,
    softmax: kernels.softmax,
    product(a, m, k, b, n, bias, relu, out) {
      if (!usesTensorflow(m, k, n)) return kernels.product(a, m, k, b, n, bias, relu, out);
      const left = { values: memory.view(a, m * k), shape: [m, k] };
      const right = { values: memory.view(b, k * n), shape: [k, n] };
      const biasValues = bias ? memory.view(bias, n) : undefined;
      memory.view(out, m * n).set(tensorflow().multiply('ab', left, right, biasValues, relu));
    },
  });
  const isWideNet = (shapes: FlatNet['shapes']) =>
    shapes.some((shape, i) => i % 2 === 0 && usesTensorflow(USUAL_BATCH, shape.at(-2)!, shape.at(-1)!));
  const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
  /** Features that are (1, x) in place of φ(x). */
  const factors = new WeakSet<Tensor>();
  /** Runs an operation of the device, which is fast if φ is too wide for loops. The copies of tensors cost little beside it. */
  const onDevice = (operation: (device: Backend, ...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]) => {
    const { ops, device } = tensorflow();
    const copies = tensors.map((tensor) => device.upload(wasm.view(tensor), tensor.shape));
    const out = operation(device, ...copies);
    const result = wasm.upload(ops.read(device.idOf(out)) as Float32Array, out.shape);
    device.free(...copies, out);
    return result;
  };

  const backend: Backend = {
    ...wasm,
    training: (net, loss, linear) => (isWideNet(net.shapes) ? null : wasm.training(net, loss, linear)),
    /** For each single operation on weights of megabytes, these would be copied. */
    forNet(shapes) {
      return isWideNet(shapes) ? tensorflow().device : backend;
    },
    logDensity(x, w, b, constant) {
      const [rows, d] = x.shape.slice(-2);
      return usesTensorflow(rows, d, w.shape.at(-1)!) ? null : wasm.logDensity(x, w, b, constant);
    },
    gram(a, b) {
      const [rows, cols] = a.shape;
      const [, width] = b.shape;
      if (a.shape.length > 2 || !usesTensorflow(cols, rows, width)) return wasm.gram(a, b);
      const [left, right] = [a, b].map((each) => ({ values: wasm.view(each), shape: each.shape }));
      return wasm.upload(tensorflow().multiply('aᵀb', left, right), [cols, width]);
    },
    quadraticFeatures(x, diagonal) {
      if (!isWide(x, diagonal)) return wasm.quadraticFeatures(x, diagonal);
      const features = onDevice((device, a) => device.quadraticFeatures(a, diagonal), x);
      factors.add(features);
      return features;
    },
    quadraticMoments(r, features) {
      if (!factors.has(features)) return wasm.quadraticMoments(r, features);
      const asFactors = (x: Tensor) => Object.assign(x, { factors: true });
      return onDevice((device, a, b) => device.quadraticMoments(a, asFactors(b)), r, features);
    },
  };
  return backend;
}
