import { statisticsLength } from '../../../model/statistics.ts';
import { elements } from '../../../proto/tensors.ts';
import type { Backend, Tensor } from './backend.ts';
import { OutOfDeviceMemory } from './errors.ts';
import { chosenFactor, pairPlaces, squarePlaces, WIDEST_PHI } from './phi.ts';
import { adapterOf, loadDawn } from './webgpu-adapter.ts';

type TfTensor = import('@tensorflow/tfjs-core').Tensor;

interface Held extends Tensor {
  /** Replaced when Adam changes it. */
  value: TfTensor;
  /** It is (1, x), which stands for φ(x) where that would be wide. */
  factors?: true;
}

/** TensorFlow.js asks for these where an adapter has them. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
];

/** TensorFlow.js on WebGPU, by Dawn: any GPU with Vulkan, Metal or Direct3D 12. `gpu` counts the machine's adapters. */
export async function webgpuBackend(gpu = 0): Promise<Backend> {
  const { dawn, tf, webgpu } = await loadDawn();
  Object.assign(globalThis, dawn.globals);
  const { adapter, named, gpu: own } = await adapterOf(dawn, gpu);
  // TensorFlow.js asks a browser's navigator whether there is WebGPU, and nothing else of it.
  const { navigator } = globalThis as { navigator?: object };
  const seen = Object.create(navigator ?? null, { gpu: { value: own } });
  Object.defineProperty(globalThis, 'navigator', { value: seen, configurable: true });
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures: [] });
  let lost: unknown = null;
  device.addEventListener('uncapturederror', ({ error }) => {
    lost ??= /memory/i.test(error.message) ? new OutOfDeviceMemory(named.name, null) : error;
  });
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') lost ??= new Error(`${named.name} was lost: ${message}`);
  });
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => new webgpu.WebGPUBackend(device, adapter.info));
  await tf.setBackend('webgpu');
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  const engine = tf.engine();
  const largest = adapter.limits.maxStorageBufferBindingSize;

  let live = 0;
  const make = (shape: readonly number[], compute: () => TfTensor): Held => {
    const bytes = 4 * elements(shape);
    if (bytes > largest) throw new OutOfDeviceMemory(named.name, bytes);
    const value = tf.tidy(compute);
    live++;
    return { shape, value };
  };
  const drop = (...tensors: Tensor[]) => {
    for (const tensor of tensors as Held[]) {
      live--;
      engine.disposeTensor(tensor.value);
    }
  };
  const at = (tensor: Tensor) => (tensor as Held).value as never;
  const constants = new Map<string, TfTensor>();
  const constant = (key: string, made: () => TfTensor) => {
    const value = constants.get(key) ?? tf.keep(made());
    constants.set(key, value);
    return value as never;
  };
  const read = async (value: TfTensor) => {
    const found = (await engine.read(value.dataId)) as Float32Array;
    if (lost) throw lost;
    return found;
  };
  const withOnes = (x: Tensor) =>
    tf.concat2d([constant(`ones${x.shape[0]}`, () => tf.ones([x.shape[0], 1])), at(x)], 1);
  const multiply = (a: TfTensor, b: TfTensor, turnA = false, turnB = false) => tf.matMul(a, b, turnA, turnB);

  function phi(x: Tensor, diagonal: boolean): TfTensor {
    const dim = x.shape[1];
    const y = withOnes(x);
    if (diagonal) return tf.concat2d([y, tf.square(at(x))], 1);
    const half = (side: 0 | 1) => {
      const p = statisticsLength(dim, 'full');
      return tf.matMul(
        y,
        constant(`choice${side}/${dim}`, () => tf.tensor2d(chosenFactor(dim, side), [1 + dim, p])),
      );
    };
    return tf.mul(half(0), half(1));
  }

  /** Θ [P,K] as [1+D, K·(1+D)]: for each cluster the matrix M with (1,x)M(1,x)ᵀ = φ(x)·θ. */
  function matrices(theta: Tensor, dim: number): TfTensor {
    const k = theta.shape[1];
    const places = constant(`square${dim}`, () => tf.tensor1d(squarePlaces(dim), 'int32'));
    const square = tf.gather(tf.concat2d([at(theta), tf.zeros([1, k])], 0), places);
    return tf.reshape(tf.transpose(tf.reshape(square, [1 + dim, 1 + dim, k]), [0, 2, 1]), [
      1 + dim,
      k * (1 + dim),
    ]);
  }

  const rowsOf = ({ shape }: Tensor) => ({ rows: shape.at(-2)!, all: elements(shape) / shape.at(-1)! });

  return {
    identity: `webgpu/${tf.version_core}/${named.name.replaceAll(' ', '-')}`,
    device: named.software ? undefined : { name: named.name },
    live: () => live,
    free: drop,
    upload: (values, shape) => make(shape, () => tf.tensor(values.slice(), [...shape])),
    read: async (tensor) => (await read((tensor as Held).value)).slice(),
    async argmaxRows(x) {
      const found = tf.tidy(() => tf.argMax(at(x), -1));
      const values = await read(found);
      engine.disposeTensor(found);
      return Int32Array.from(values);
    },
    gather(x, index, shape) {
      const out = shape ?? [index.length, x.shape[1]];
      return make(out, () =>
        tf.reshape(tf.gather(at(x), tf.tensor1d(Int32Array.from(index), 'int32')), [...out]),
      );
    },
    slice(x, start, count) {
      const shape: [number, number] = [count, x.shape[1]];
      return make(shape, () => (count ? tf.slice2d(at(x), [start, 0], shape) : tf.zeros(shape)));
    },
    affine(x, w, b, relu) {
      const shape = [...x.shape.slice(0, -1), w.shape.at(-1)!];
      return make(shape, () => {
        const bias = x.shape.length === 2 ? at(b) : tf.reshape(at(b), [x.shape[0], 1, shape[2]]);
        const z = tf.add(multiply(at(x), at(w)), bias);
        return relu ? tf.relu(z) : z;
      });
    },
    gram: (a, b) =>
      make([...a.shape.slice(0, -2), a.shape.at(-1)!, b.shape.at(-1)!], () => multiply(at(a), at(b), true)),
    columnSums: (x) => make([...x.shape.slice(0, -2), x.shape.at(-1)!], () => tf.sum(at(x), -2)),
    reluGrad: (g, w, h) => make(h.shape, () => tf.mul(multiply(at(g), at(w), false, true), tf.step(at(h)))),
    adam(p, m, v, gradient, rate, step) {
      const [first, second] = tf.tidy(() => [
        tf.add(tf.mul(at(m), 0.9), tf.mul(at(gradient), 0.1)),
        tf.add(tf.mul(at(v), 0.999), tf.mul(tf.square(at(gradient)), 0.001)),
      ]);
      const next = tf.tidy(() => {
        const root = tf.add(tf.sqrt(tf.mul(second, 1 / (1 - 0.999 ** step))), 1e-8);
        return tf.sub(at(p), tf.div(tf.mul(first, rate / (1 - 0.9 ** step)), root)) as TfTensor;
      });
      [p, m, v].forEach((tensor, i) => {
        engine.disposeTensor((tensor as Held).value);
        (tensor as Held).value = [next, first, second][i];
      });
    },
    softmaxRows: (logits, epsilon) =>
      make(logits.shape, () => {
        const r = tf.softmax(at(logits));
        return epsilon ? tf.mul(tf.add(r, epsilon), 1 / (1 + logits.shape.at(-1)! * epsilon)) : r;
      }),
    klGradient(logits, target) {
      const { rows, all } = rowsOf(logits);
      const shifted = make(logits.shape, () => tf.sub(at(logits), tf.max(at(logits), -1, true)));
      const gradient = make(logits.shape, () => tf.div(tf.sub(tf.softmax(at(logits)), at(target)), rows));
      const loss = make([1], () => {
        const x = at(shifted);
        const logR = tf.sub(x, tf.log(tf.sum(tf.exp(x), -1, true)));
        // A target of 0 adds nothing, also where log r is −∞.
        const there = tf.greater(at(target), 0);
        const logT = tf.log(tf.where(there, at(target), tf.onesLike(at(target))));
        const difference = tf.where(there, tf.sub(logT, logR), tf.zerosLike(logR));
        return tf.reshape(tf.div(tf.sum(tf.mul(at(target), difference)), all), [1]);
      });
      drop(shifted);
      return { gradient, loss };
    },
    costGradient(logits, cost) {
      const { rows, all } = rowsOf(logits);
      const r = make(logits.shape, () => tf.softmax(at(logits)));
      const mean = make([...logits.shape.slice(0, -1), 1], () => tf.sum(tf.mul(at(r), at(cost)), -1, true));
      const gradient = make(logits.shape, () => tf.div(tf.mul(at(r), tf.sub(at(cost), at(mean))), rows));
      const loss = make([1], () => tf.reshape(tf.div(tf.sum(at(mean)), all), [1]));
      drop(r, mean);
      return { gradient, loss };
    },
    quadraticForm(x, theta, diagonal) {
      const [rows, dim] = x.shape;
      const k = theta.shape[1];
      return make([rows, k], () => {
        if (diagonal || dim <= WIDEST_PHI) return multiply(phi(x, diagonal), at(theta));
        const y = withOnes(x);
        const u = tf.reshape(multiply(y, matrices(theta, dim)), [rows, k, 1 + dim]);
        return tf.reshape(multiply(u, tf.reshape(y, [rows, 1 + dim, 1])), [rows, k]);
      });
    },
    quadraticFeatures(x, diagonal) {
      const [rows, dim] = x.shape;
      if (diagonal || dim <= WIDEST_PHI)
        return make([rows, statisticsLength(dim, diagonal ? 'diag' : 'full')], () => phi(x, diagonal));
      return Object.assign(
        make([rows, 1 + dim], () => withOnes(x)),
        { factors: true as const },
      );
    },
    quadraticMoments(r, features) {
      const [rows, width] = features.shape;
      const k = r.shape[1];
      if (!(features as Held).factors) return make([k, width], () => multiply(at(r), at(features), true));
      const p = statisticsLength(width - 1, 'full');
      return make([k, p], () => {
        const weighed = tf.mul(tf.reshape(at(r), [rows, k, 1]), tf.reshape(at(features), [rows, 1, width]));
        const sums = multiply(tf.reshape(weighed, [rows, k * width]), at(features), true);
        const places = constant(`pairs${width}`, () => tf.tensor1d(pairPlaces(width - 1), 'int32'));
        return tf.gather(tf.reshape(sums, [k, width * width]), places, 1);
      });
    },
    whitenedDensity(u, constantTerm) {
      const k = constantTerm.shape.at(-1)!;
      const lead = u.shape.slice(0, -1);
      return make([...lead, k], () => {
        const squares = tf.square(tf.reshape(at(u), [...lead, k, u.shape.at(-1)! / k]));
        const c = lead.length === 1 ? at(constantTerm) : tf.reshape(at(constantTerm), [lead[0], 1, k]);
        return tf.sub(c, tf.mul(tf.sum(squares, -1), 0.5));
      });
    },
    squaredDistances(x, centres, metric) {
      const [k, rows, dim] = x.shape;
      const j = centres.shape[1];
      return make([k, rows, j], () => {
        const difference = tf.sub(
          tf.reshape(at(x), [k, rows, 1, dim]),
          tf.reshape(at(centres), [k, 1, j, dim]),
        );
        return tf.sum(tf.mul(tf.square(difference), at(metric)), -1);
      });
    },
  };
}
