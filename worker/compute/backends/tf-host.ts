import type { Backend, FlatNet, Loss, Tensor, Training } from './backend.ts';
import type { HostMemory, Product } from './host.ts';
import { WIDEST_PHI } from './phi.ts';
import type { Attribute, Binding, Id } from './tf-binding.ts';
import { TfDevice } from './tf-device.ts';
import { WasmBackend, type WasmKernels } from './wasm.ts';

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
  const attributes = (transposeA: boolean) => [
    flag('transpose_a', transposeA),
    flag('transpose_b', false),
    T,
  ];
  const [plain, transposed] = [attributes(false), attributes(true)];

  return (op: 'ab' | 'aᵀb', a: Matrix, b: Matrix, bias?: Float32Array, relu = false): Float32Array => {
    const temporary: Id[] = [];
    const track = (id: Id) => {
      temporary.push(id);
      return id;
    };
    const wrap = ({ values, shape }: Matrix) => track(binding.createTensor(shape, binding.TF_FLOAT, values));
    const run = (name: string, attributes: Attribute[], ...inputs: Id[]) =>
      track(binding.executeOp(name, attributes, inputs, 1)[0].id);
    let out = run('MatMul', op === 'ab' ? plain : transposed, wrap(a), wrap(b));
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
export class TfHost extends WasmBackend {
  readonly #load: () => Binding;
  readonly #usesTensorflow: typeof isFaster;
  #loaded: { multiply: ReturnType<typeof multiplier>; device: TfDevice } | undefined;
  /** Features that are (1, x) in place of φ(x). */
  readonly #factors = new WeakSet<Tensor>();

  constructor(load: () => Binding, identity: string, kernels: WasmKernels, usesTensorflow = isFaster) {
    const memory = aligned(kernels.memory);
    const product: Product = (a, m, k, b, n, bias, relu, out) => {
      if (!usesTensorflow(m, k, n)) return kernels.product(a, m, k, b, n, bias, relu, out);
      const left = { values: memory.view(a, m * k), shape: [m, k] };
      const right = { values: memory.view(b, k * n), shape: [k, n] };
      const biasValues = bias ? memory.view(bias, n) : undefined;
      memory.view(out, m * n).set(this.#tensorflow().multiply('ab', left, right, biasValues, relu));
    };
    super(identity, { memory, product, softmax: kernels.softmax });
    this.#load = load;
    this.#usesTensorflow = usesTensorflow;
  }

  #tensorflow() {
    if (this.#loaded) return this.#loaded;
    const binding = this.#load();
    this.#loaded = { multiply: multiplier(binding), device: new TfDevice(binding, this.identity) };
    return this.#loaded;
  }

  override training(net: FlatNet, loss: Loss, linear?: number): Training | null {
    return this.#isWide(net.shapes) ? null : super.training(net, loss, linear);
  }

  /** For each single operation on weights of megabytes, these would be copied. */
  forNet(shapes: FlatNet['shapes']): Backend {
    return this.#isWide(shapes) ? this.#tensorflow().device : this;
  }

  #isWide(shapes: FlatNet['shapes']): boolean {
    const layers = shapes.filter((_, i) => i % 2 === 0).map((shape) => shape.slice(-2));
    return layers.some(([fanIn, fanOut]) => this.#usesTensorflow(USUAL_BATCH, fanIn, fanOut));
  }

  override logDensity(x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor | null {
    const [rows, d] = x.shape.slice(-2);
    return this.#usesTensorflow(rows, d, w.shape.at(-1)!) ? null : super.logDensity(x, w, b, constant);
  }

  override gram(a: Tensor, b: Tensor): Tensor {
    const [rows, cols] = a.shape;
    const [, width] = b.shape;
    if (a.shape.length > 2 || !this.#usesTensorflow(cols, rows, width)) return super.gram(a, b);
    const [left, right] = [a, b].map((each) => ({ values: this.view(each), shape: each.shape }));
    return this.upload(this.#tensorflow().multiply('aᵀb', left, right), [cols, width]);
  }

  override quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    if (!isWide(x, diagonal)) return super.quadraticForm(x, theta, diagonal);
    return this.#onDevice((device, a, b) => device.quadraticForm(a, b, diagonal), x, theta);
  }

  override quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    if (!isWide(x, diagonal)) return super.quadraticFeatures(x, diagonal);
    const features = this.#onDevice((device, a) => device.quadraticFeatures(a, diagonal), x);
    this.#factors.add(features);
    return features;
  }

  override quadraticMoments(r: Tensor, features: Tensor): Tensor {
    if (!this.#factors.has(features)) return super.quadraticMoments(r, features);
    return this.#onDevice(
      (device, a, b) => device.quadraticMoments(a, Object.assign(b, { factors: true })),
      r,
      features,
    );
  }

  /** Runs an operation of TfDevice, which is fast if φ is too wide for loops. The copies of tensors cost little beside it. */
  #onDevice(operation: (device: Backend, ...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]): Tensor {
    const { device } = this.#tensorflow();
    const copies = tensors.map((tensor) => device.upload(this.view(tensor), tensor.shape));
    const out = operation(device, ...copies);
    const result = this.upload(device.values(out), out.shape);
    device.free(...copies, out);
    return result;
  }
}

const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
