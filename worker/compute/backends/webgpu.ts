import { elementCount } from '../../../model/arrays.ts';
import { type Backend, OutOfDeviceMemory } from './backend.ts';
import { deviceBackend, KEPT_CONSTANTS, type Operation, type Ops } from './device.ts';
import { adapterOf, type GpuDevice, loadDawn } from './webgpu-adapter.ts';

type TensorFlow = typeof import('@tensorflow/tfjs-core');
type TfTensor = import('@tensorflow/tfjs-core').Tensor;

/** Part of the numeric identity: increase it with every change here, or in device.ts, that changes bits. */
const VERSION = 'device1';

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
  const device = await adapter.requestDevice({ requiredLimits });
  const { name, software } = info;
  const failure = failureOf(device, name);
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => new webgpu.WebGPUBackend(device, adapter.info));
  await tf.setBackend('webgpu');
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  const ops = webgpuOps(tf, name, adapter.limits.maxStorageBufferBindingSize, failure);
  const identity = `webgpu/${tf.version_core}-${VERSION}/${name.replaceAll(' ', '-')}`;
  return deviceBackend(identity, ops, software ? undefined : { name });
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

/** TensorFlow.js' operations. `largest`: bytes that a tensor may have. */
function webgpuOps(tf: TensorFlow, name: string, largest: number, failure: () => unknown): Ops<TfTensor> {
  const isZero = (x: TfTensor) => tf.equal(x, 0);
  const operations: Record<Operation, (a: TfTensor, b: TfTensor) => TfTensor> = {
    AddV2: tf.add,
    BiasAdd: tf.add,
    Exp: tf.exp,
    LogSoftmax: (x) => tf.logSoftmax(x),
    Mul: tf.mul,
    MulNoNan: (a, b) => tf.where(isZero(b), tf.zerosLike(a), tf.mul(a, b)),
    Relu: tf.relu,
    ReluGrad: (gradient, h) => tf.mul(gradient, tf.step(h)),
    Softmax: (x) => tf.softmax(x),
    Square: tf.square,
    SquaredDifference: tf.squaredDifference,
    Sub: tf.sub,
    Xlogy: (a, b) => tf.mul(a, tf.log(tf.where(isZero(a), tf.onesLike(b), b))),
  };
  const constants = new Map<string, TfTensor>();
  let temporaries: TfTensor[] = [];
  const assertFits = (shape: readonly number[]) => {
    const bytes = 4 * elementCount(shape);
    if (bytes > largest) throw new OutOfDeviceMemory(name, bytes);
  };
  const temporary = (compute: () => TfTensor): TfTensor => {
    const x = tf.tidy(compute);
    assertFits(x.shape);
    temporaries.push(x);
    return x;
  };
  const ops: Ops<TfTensor> = {
    create(values, shape) {
      assertFits(shape);
      return tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32');
    },
    temporary: (values, shape) => temporary(() => ops.create(values, shape)),
    constant(key, compute) {
      const x = constants.get(key) ?? ops.create(...compute());
      constants.set(key, x);
      return x;
    },
    async read(x) {
      const values = (await tf.engine().read(x.dataId)) as Float32Array | Int32Array;
      const problem = failure();
      if (problem) throw problem;
      return values.slice();
    },
    delete: (x) => tf.engine().disposeTensor(x),
    end(...results) {
      for (const x of temporaries) if (!results.includes(x)) ops.delete(x);
      temporaries = [];
      if (constants.size <= KEPT_CONSTANTS) return;
      for (const x of constants.values()) ops.delete(x);
      constants.clear();
    },
    run: (operation, a, b) => temporary(() => operations[operation](a, b)),
    matMul: (a, b, transposition = 'NN') =>
      temporary(() => tf.matMul(a, b, transposition === 'TN', transposition === 'NT')),
    reshape: (x, ...shape) => temporary(() => tf.reshape(x, shape)),
    sum: (x, axis, keepAxis) => temporary(() => tf.sum(x, axis, keepAxis)),
    argMax: (x) => temporary(() => tf.argMax(x, -1)),
    slice: (x, begin, size) =>
      temporary(() => (size.includes(0) ? tf.zeros(size) : tf.slice(x, begin, size))),
    concat: (a, b, axis) => temporary(() => tf.concat([a, b], axis)),
    gather: (x, indices, axis) => temporary(() => tf.gather(x, indices as never, axis)),
    adam(changed, gradient, rate, step) {
      const [p, m, v] = changed.map(({ id }) => id!);
      const [first, second] = tf.tidy(() => [
        tf.add(tf.mul(m, 0.9), tf.mul(gradient, 0.1)),
        tf.add(tf.mul(v, 0.999), tf.mul(tf.square(gradient), 0.001)),
      ]);
      const next = tf.tidy(() => {
        const root = tf.add(tf.sqrt(tf.mul(second, 1 / (1 - 0.999 ** step))), 1e-8);
        return tf.sub(p, tf.div(tf.mul(first, rate / (1 - 0.9 ** step)), root)) as TfTensor;
      });
      changed.forEach((tensor, i) => {
        ops.delete(tensor.id!);
        tensor.id = [next, first, second][i];
      });
    },
  };
  return ops;
}
