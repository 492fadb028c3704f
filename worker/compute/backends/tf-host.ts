import type { Backend, Batch, FlatNet, Tensor } from './backend.ts';
import type { Memory, Product } from './host.ts';
import { WIDEST_PHI } from './phi.ts';
import type { Attribute, Binding, Id } from './tf-binding.ts';
import { TfDevice } from './tf-device.ts';
import { WasmBackend, type WasmKernels } from './wasm.ts';

/** Raised with every change here that changes bits: part of the numeric identity. */
export const TF_HOST_VERSION = 'host2';

/**
 * Products of fewer multiplications are XNNPACK's. TensorFlow would save half a millisecond on one of this size, and a
 * run has some hundreds of them: as much as it costs to load TensorFlow.
 */
const LARGE = 8_000_000;
/** So are those with fewer terms in a sum: to fetch the result from TensorFlow takes as long as to compute it. */
const DEEP = 48;
/** Does a product of m×k and k×n pay? */
const pays = (m: number, k: number, n: number) => m * k * n >= LARGE && k >= DEEP;
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

interface Matrix {
  values: Float32Array;
  shape: readonly number[];
}

/** Products of matrices whose memory TensorFlow shares while it computes. */
function multiplier(binding: Binding) {
  const T = { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
  const flag = (name: string, value: boolean) => ({ name, type: binding.TF_ATTR_BOOL, value });
  const turned = (a: boolean) => [flag('transpose_a', a), flag('transpose_b', false), T];
  const [plain, transposed] = [turned(false), turned(true)];

  return (op: 'ab' | 'aᵀb', a: Matrix, b: Matrix, bias?: Float32Array, relu = false): Float32Array => {
    const held: Id[] = [];
    const hold = (id: Id) => {
      held.push(id);
      return id;
    };
    const share = ({ values, shape }: Matrix) => hold(binding.createTensor(shape, binding.TF_FLOAT, values));
    const run = (name: string, attributes: Attribute[], ...inputs: Id[]) =>
      hold(binding.executeOp(name, attributes, inputs, 1)[0].id);
    let out = run('MatMul', op === 'ab' ? plain : transposed, share(a), share(b));
    if (bias) out = run('BiasAdd', [T], out, share({ values: bias, shape: [bias.length] }));
    if (relu) out = run('Relu', [T], out);
    const values = binding.tensorDataSync(out) as Float32Array;
    for (const id of held) binding.deleteTensor(id);
    return values;
  };
}

/**
 * TensorFlow on the CPU: the WASM backend whose large products are TensorFlow's, three to five times as fast. Shapes
 * alone decide which, by `isTheirs`. `load` is called with the first of them: a run without any never loads TensorFlow.
 */
export class TfHost extends WasmBackend {
  readonly #load: () => Binding;
  readonly #isTheirs: typeof pays;
  #loaded: { multiply: ReturnType<typeof multiplier>; device: TfDevice } | undefined;
  /** Features that are (1, x). */
  readonly #factors = new WeakSet<Tensor>();

  constructor(load: () => Binding, identity: string, kernels: WasmKernels, isTheirs = pays) {
    const memory = aligned(kernels.memory);
    const product: Product = (a, m, k, b, n, bias, relu, out) => {
      if (!isTheirs(m, k, n)) return kernels.product(a, m, k, b, n, bias, relu, out);
      const left = { values: memory.view(a, m * k), shape: [m, k] };
      const right = { values: memory.view(b, k * n), shape: [k, n] };
      const add = bias ? memory.view(bias, n) : undefined;
      memory.view(out, m * n).set(this.#tensorflow().multiply('ab', left, right, add, relu));
    };
    super(identity, { memory, product, softmax: kernels.softmax });
    this.#load = load;
    this.#isTheirs = isTheirs;
  }

  #tensorflow() {
    if (this.#loaded) return this.#loaded;
    const binding = this.#load();
    this.#loaded = { multiply: multiplier(binding), device: new TfDevice(binding, this.identity) };
    return this.#loaded;
  }

  override steps(
    net: FlatNet,
    batches: Iterable<Batch>,
    loss: 'kl' | 'cost',
    rate: number,
    done: number,
  ): number | null {
    const layers = net.shapes.filter((_, i) => i % 2 === 0).map((shape) => shape.slice(-2));
    const isWideNet = layers.some(([fanIn, fanOut]) => this.#isTheirs(USUAL_BATCH, fanIn, fanOut));
    return isWideNet ? null : super.steps(net, batches, loss, rate, done);
  }

  override logDensity(x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor | null {
    const [rows, d] = x.shape.slice(-2);
    return this.#isTheirs(rows, d, w.shape.at(-1)!) ? null : super.logDensity(x, w, b, constant);
  }

  override gram(a: Tensor, b: Tensor): Tensor {
    const [rows, cols] = a.shape;
    const [, width] = b.shape;
    if (a.shape.length > 2 || !this.#isTheirs(cols, rows, width)) return super.gram(a, b);
    const [left, right] = [a, b].map((each) => ({ values: this.view(each), shape: each.shape }));
    return this.upload(this.#tensorflow().multiply('aᵀb', left, right), [cols, width]);
  }

  override quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    if (!isWide(x, diagonal)) return super.quadraticForm(x, theta, diagonal);
    return this.#onDevice((device, a, b) => device.quadraticForm(a, b, diagonal), x, theta);
  }

  override quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    if (!isWide(x, diagonal)) return super.quadraticFeatures(x, diagonal);
    const made = this.#onDevice((device, a) => device.quadraticFeatures(a, diagonal), x);
    this.#factors.add(made);
    return made;
  }

  override quadraticMoments(r: Tensor, features: Tensor): Tensor {
    if (!this.#factors.has(features)) return super.quadraticMoments(r, features);
    return this.#onDevice(
      (device, a, b) => device.quadraticMoments(a, Object.assign(b, { factors: true })),
      r,
      features,
    );
  }

  /** Where φ is too wide to be made by loops, the device's verbs are fast: on copies, which cost nothing beside them. */
  #onDevice(verb: (device: Backend, ...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]): Tensor {
    const { device } = this.#tensorflow();
    const copies = tensors.map((tensor) => device.upload(this.view(tensor), tensor.shape));
    const out = verb(device, ...copies);
    const found = this.upload(device.values(out), out.shape);
    device.free(...copies, out);
    return found;
  }
}

const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
