import { elementCount } from '../../../model/arrays.ts';
import type { Backend, ComputeDevice, Tensor } from './backend.ts';
import { OutOfDeviceMemory } from './backend.ts';
import { formIndices, phiLength, productIndices, selectionMatrix, WIDEST_PHI } from './phi.ts';
import { type AdapterInfo, adapterOf, type GpuDevice, loadDawn } from './webgpu-adapter.ts';

type TensorFlow = typeof import('@tensorflow/tfjs-core');
type TfTensor = import('@tensorflow/tfjs-core').Tensor;

interface WebgpuTensor extends Tensor {
  /** Replaced when Adam changes it. */
  value: TfTensor;
  /** It is (1, x) in place of φ(x), which would be too wide. */
  factors?: true;
}

/** The limits that TensorFlow.js requires of a device, at the adapter's maximum. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
];

/** TensorFlow.js on WebGPU through Dawn: any GPU with Vulkan, Metal or Direct3D 12. `gpu`: index of the adapter. */
export async function webgpuBackend(gpu = 0): Promise<Backend> {
  const { dawn, tf, webgpu } = await loadDawn();
  Object.assign(globalThis, dawn.globals);
  const { adapter, info, instance } = await adapterOf(dawn, gpu);
  // TensorFlow.js looks for WebGPU in the browser's `navigator`.
  const { navigator } = globalThis as { navigator?: object };
  const withGpu = Object.create(navigator ?? null, { gpu: { value: instance } });
  Object.defineProperty(globalThis, 'navigator', { value: withGpu, configurable: true });
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures: [] });
  const failure = failureOf(device, info.name);
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => new webgpu.WebGPUBackend(device, adapter.info));
  await tf.setBackend('webgpu');
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  return new WebgpuBackend(tf, info, adapter.limits.maxStorageBufferBindingSize, failure);
}

/** The first error of a device, which reports errors asynchronously; null as long as there is none. */
function failureOf(device: GpuDevice, name: string): () => unknown {
  let failure: unknown = null;
  device.addEventListener('uncapturederror', ({ error }) => {
    failure ??= /memory/i.test(error.message) ? new OutOfDeviceMemory(name, null) : error;
  });
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') failure ??= new Error(`${name} was lost: ${message}`);
  });
  return () => failure;
}

/** The TensorFlow.js tensor, cast to whatever rank a function of TensorFlow.js declares. */
const tfOf = (tensor: Tensor) => (tensor as WebgpuTensor).value as never;
const rowsOf = ({ shape }: Tensor) => ({ rows: shape.at(-2)!, all: elementCount(shape) / shape.at(-1)! });

class WebgpuBackend implements Backend {
  readonly identity: string;
  readonly device: ComputeDevice | undefined;
  readonly #tf: TensorFlow;
  readonly #name: string;
  /** Maximum size of a tensor, bytes. */
  readonly #largest: number;
  readonly #failure: () => unknown;
  readonly #constants = new Map<string, TfTensor>();
  #live = 0;

  constructor(tf: TensorFlow, { name, software }: AdapterInfo, largest: number, failure: () => unknown) {
    this.identity = `webgpu/${tf.version_core}/${name.replaceAll(' ', '-')}`;
    this.device = software ? undefined : { name };
    this.#tf = tf;
    this.#name = name;
    this.#largest = largest;
    this.#failure = failure;
  }

  upload(values: Float32Array, shape: readonly number[]): Tensor {
    return this.#make(shape, () => this.#tf.tensor(values.slice(), [...shape]));
  }

  async read(tensor: Tensor): Promise<Float32Array> {
    return (await this.#read((tensor as WebgpuTensor).value)).slice();
  }

  free(...tensors: Tensor[]): void {
    for (const tensor of tensors as WebgpuTensor[]) {
      this.#live--;
      this.#dispose(tensor.value);
    }
  }

  live(): number {
    return this.#live;
  }

  #make(shape: readonly number[], compute: () => TfTensor): WebgpuTensor {
    const bytes = 4 * elementCount(shape);
    if (bytes > this.#largest) throw new OutOfDeviceMemory(this.#name, bytes);
    const value = this.#tf.tidy(compute);
    this.#live++;
    return { shape, value };
  }

  async #read(value: TfTensor): Promise<Float32Array> {
    const values = (await this.#tf.engine().read(value.dataId)) as Float32Array;
    const failure = this.#failure();
    if (failure) throw failure;
    return values;
  }

  #dispose(value: TfTensor): void {
    this.#tf.engine().disposeTensor(value);
  }

  #constant(key: string, compute: () => TfTensor) {
    const value = this.#constants.get(key) ?? this.#tf.keep(compute());
    this.#constants.set(key, value);
    return value as never;
  }

  gather(x: Tensor, index: Int32Array | Uint32Array, shape?: readonly number[]): Tensor {
    const tf = this.#tf;
    const out = shape ?? [index.length, x.shape[1]];
    return this.#make(out, () =>
      tf.reshape(tf.gather(tfOf(x), tf.tensor1d(Int32Array.from(index), 'int32')), [...out]),
    );
  }

  slice(x: Tensor, start: number, count: number): Tensor {
    const tf = this.#tf;
    const shape: [number, number] = [count, x.shape[1]];
    return this.#make(shape, () => (count ? tf.slice2d(tfOf(x), [start, 0], shape) : tf.zeros(shape)));
  }

  affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor {
    const tf = this.#tf;
    const shape = [...x.shape.slice(0, -1), w.shape.at(-1)!];
    return this.#make(shape, () => {
      const bias = x.shape.length === 2 ? tfOf(b) : tf.reshape(tfOf(b), [x.shape[0], 1, shape[2]]);
      const z = tf.add(tf.matMul(tfOf(x), tfOf(w)), bias);
      return relu ? tf.relu(z) : z;
    });
  }

  gram(a: Tensor, b: Tensor): Tensor {
    const shape = [...a.shape.slice(0, -2), a.shape.at(-1)!, b.shape.at(-1)!];
    return this.#make(shape, () => this.#tf.matMul(tfOf(a), tfOf(b), true));
  }

  plus(a: Tensor, b: Tensor, factor: number): Tensor {
    const tf = this.#tf;
    return this.#make(a.shape, () => tf.add(tfOf(a), tf.mul(tfOf(b), factor)));
  }

  columnSums(x: Tensor): Tensor {
    const shape = [...x.shape.slice(0, -2), x.shape.at(-1)!];
    return this.#make(shape, () => this.#tf.sum(tfOf(x), -2));
  }

  reluGrad(g: Tensor, w: Tensor, h: Tensor): Tensor {
    const tf = this.#tf;
    return this.#make(h.shape, () => tf.mul(tf.matMul(tfOf(g), tfOf(w), false, true), tf.step(tfOf(h))));
  }

  adam(p: Tensor, m: Tensor, v: Tensor, gradient: Tensor, rate: number, step: number): void {
    const tf = this.#tf;
    const [first, second] = tf.tidy(() => [
      tf.add(tf.mul(tfOf(m), 0.9), tf.mul(tfOf(gradient), 0.1)),
      tf.add(tf.mul(tfOf(v), 0.999), tf.mul(tf.square(tfOf(gradient)), 0.001)),
    ]);
    const next = tf.tidy(() => {
      const root = tf.add(tf.sqrt(tf.mul(second, 1 / (1 - 0.999 ** step))), 1e-8);
      return tf.sub(tfOf(p), tf.div(tf.mul(first, rate / (1 - 0.9 ** step)), root)) as TfTensor;
    });
    ([p, m, v] as WebgpuTensor[]).forEach((tensor, i) => {
      this.#dispose(tensor.value);
      tensor.value = [next, first, second][i];
    });
  }

  softmaxRows(logits: Tensor, epsilon: number): Tensor {
    const tf = this.#tf;
    return this.#make(logits.shape, () => {
      const r = tf.softmax(tfOf(logits));
      return epsilon ? tf.mul(tf.add(r, epsilon), 1 / (1 + logits.shape.at(-1)! * epsilon)) : r;
    });
  }

  async argmaxRows(x: Tensor): Promise<Int32Array> {
    const indices = this.#tf.tidy(() => this.#tf.argMax(tfOf(x), -1));
    const values = await this.#read(indices);
    this.#dispose(indices);
    return Int32Array.from(values);
  }

  klGradient(logits: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    const tf = this.#tf;
    const { rows, all } = rowsOf(logits);
    const shifted = this.#make(logits.shape, () => tf.sub(tfOf(logits), tf.max(tfOf(logits), -1, true)));
    const gradient = this.#make(logits.shape, () =>
      tf.div(tf.sub(tf.softmax(tfOf(logits)), tfOf(target)), rows),
    );
    const loss = this.#make([1], () => {
      const x = tfOf(shifted);
      const logR = tf.sub(x, tf.log(tf.sum(tf.exp(x), -1, true)));
      // A target of 0 adds nothing, even if log r is −∞.
      const isPositive = tf.greater(tfOf(target), 0);
      const logT = tf.log(tf.where(isPositive, tfOf(target), tf.onesLike(tfOf(target))));
      const difference = tf.where(isPositive, tf.sub(logT, logR), tf.zerosLike(logR));
      return tf.reshape(tf.div(tf.sum(tf.mul(tfOf(target), difference)), all), [1]);
    });
    this.free(shifted);
    return { gradient, loss };
  }

  costGradient(logits: Tensor, cost: Tensor): { gradient: Tensor; loss: Tensor } {
    const tf = this.#tf;
    const { rows, all } = rowsOf(logits);
    const r = this.#make(logits.shape, () => tf.softmax(tfOf(logits)));
    const mean = this.#make([...logits.shape.slice(0, -1), 1], () =>
      tf.sum(tf.mul(tfOf(r), tfOf(cost)), -1, true),
    );
    const gradient = this.#make(logits.shape, () =>
      tf.div(tf.mul(tfOf(r), tf.sub(tfOf(cost), tfOf(mean))), rows),
    );
    const loss = this.#make([1], () => tf.reshape(tf.div(tf.sum(tfOf(mean)), all), [1]));
    this.free(r, mean);
    return { gradient, loss };
  }

  squaredError(x: Tensor, target: Tensor): { gradient: Tensor; loss: Tensor } {
    const tf = this.#tf;
    const rows = x.shape[0];
    const difference = this.#make(x.shape, () => tf.sub(tfOf(x), tfOf(target)));
    const gradient = this.#make(x.shape, () => tf.mul(tfOf(difference), 2 / rows));
    const loss = this.#make([1], () => tf.reshape(tf.div(tf.sum(tf.square(tfOf(difference))), rows), [1]));
    this.free(difference);
    return { gradient, loss };
  }

  quadraticForm(x: Tensor, theta: Tensor, diagonal: boolean): Tensor {
    const tf = this.#tf;
    const [rows, dim] = x.shape;
    const k = theta.shape[1];
    return this.#make([rows, k], () => {
      if (diagonal || dim <= WIDEST_PHI) return tf.matMul(this.#phi(x, diagonal), tfOf(theta));
      const y = this.#withOnes(x);
      const u = tf.reshape(tf.matMul(y, this.#matricesOf(theta, dim)), [rows, k, 1 + dim]);
      return tf.reshape(tf.matMul(u, tf.reshape(y, [rows, 1 + dim, 1])), [rows, k]);
    });
  }

  quadraticFeatures(x: Tensor, diagonal: boolean): Tensor {
    const [rows, dim] = x.shape;
    if (diagonal || dim <= WIDEST_PHI)
      return this.#make([rows, phiLength(dim, diagonal)], () => this.#phi(x, diagonal));
    const features = this.#make([rows, 1 + dim], () => this.#withOnes(x));
    return Object.assign(features, { factors: true as const });
  }

  quadraticMoments(r: Tensor, features: Tensor): Tensor {
    const tf = this.#tf;
    const [rows, width] = features.shape;
    const k = r.shape[1];
    if (!(features as WebgpuTensor).factors)
      return this.#make([k, width], () => tf.matMul(tfOf(r), tfOf(features), true));
    return this.#make([k, phiLength(width - 1, false)], () => {
      const weighed = tf.mul(tf.reshape(tfOf(r), [rows, k, 1]), tf.reshape(tfOf(features), [rows, 1, width]));
      const sums = tf.matMul(tf.reshape(weighed, [rows, k * width]), tfOf(features), true);
      const indices = this.#constant(`pairs${width}`, () => tf.tensor1d(productIndices(width - 1), 'int32'));
      return tf.gather(tf.reshape(sums, [k, width * width]), indices, 1);
    });
  }

  /** (1, x). */
  #withOnes(x: Tensor): TfTensor {
    const tf = this.#tf;
    return tf.concat2d([this.#constant(`ones${x.shape[0]}`, () => tf.ones([x.shape[0], 1])), tfOf(x)], 1);
  }

  #phi(x: Tensor, diagonal: boolean): TfTensor {
    const tf = this.#tf;
    const dim = x.shape[1];
    const y = this.#withOnes(x);
    if (diagonal) return tf.concat2d([y as never, tf.square(tfOf(x))], 1);
    const selection = (side: 0 | 1) =>
      this.#constant(`choice${side}/${dim}`, () =>
        tf.tensor2d(selectionMatrix(dim, side), [1 + dim, phiLength(dim, false)]),
      );
    return tf.mul(tf.matMul(y, selection(0)), tf.matMul(y, selection(1)));
  }

  /** Θ [P,K] as [1+D, K·(1+D)]: for each cluster the matrix M with (1,x)M(1,x)ᵀ = φ(x)·θ. */
  #matricesOf(theta: Tensor, dim: number): TfTensor {
    const tf = this.#tf;
    const k = theta.shape[1];
    const side = 1 + dim;
    const indices = this.#constant(`square${dim}`, () => tf.tensor1d(formIndices(dim), 'int32'));
    const square = tf.gather(tf.concat2d([tfOf(theta), tf.zeros([1, k])], 0), indices);
    const transposed = tf.transpose(tf.reshape(square, [side, side, k]), [0, 2, 1]);
    return tf.reshape(transposed, [side, k * side]);
  }

  whitenedDensity(u: Tensor, constant: Tensor): Tensor {
    const tf = this.#tf;
    const k = constant.shape.at(-1)!;
    const lead = u.shape.slice(0, -1);
    return this.#make([...lead, k], () => {
      const squares = tf.square(tf.reshape(tfOf(u), [...lead, k, u.shape.at(-1)! / k]));
      const c = lead.length === 1 ? tfOf(constant) : tf.reshape(tfOf(constant), [lead[0], 1, k]);
      return tf.sub(c, tf.mul(tf.sum(squares, -1), 0.5));
    });
  }

  squaredDistances(x: Tensor, centres: Tensor, metric: Tensor): Tensor {
    const tf = this.#tf;
    const [k, rows, dim] = x.shape;
    const j = centres.shape[1];
    return this.#make([k, rows, j], () => {
      const difference = tf.sub(
        tf.reshape(tfOf(x), [k, rows, 1, dim]),
        tf.reshape(tfOf(centres), [k, 1, j, dim]),
      );
      return tf.sum(tf.mul(tf.square(difference), tfOf(metric)), -1);
    });
  }
}
