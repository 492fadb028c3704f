import { createRequire } from 'node:module';
import { elementCount } from '../../../model/arrays.ts';
import { densityKernel } from '../kernels/row-kernel.ts';
import { STEPS_VERSION, stepKernel } from '../kernels/step-kernel.ts';
import type { Backend, BackendTraining, FlatNet, Loss, Tensor } from './backend.ts';
import { type HostMemory, hostBackend, type Product, type Softmax } from './host.ts';

const require = createRequire(import.meta.url);

const RELU = 1;
const LINEAR = 0;
/** Bytes that WebAssembly can address. */
const ADDRESSABLE = 2 ** 32;
/** Tensor ids of a product's operands; 0 means none. */
const [A, B, BIAS, OUT] = [1, 2, 3, 4];

/** The part of TensorFlow.js' Emscripten module that is used here. */
interface Module {
  _malloc(bytes: number): number;
  _free(address: number): void;
  HEAPU8: Uint8Array;
  HEAP32: Int32Array;
  cwrap(name: string, returns: null, parameters: string[]): (...args: number[]) => void;
}
type Factory = (settings: { locateFile(name: string, folder: string): string }) => Promise<Module>;

/** XNNPACK's kernels and the memory that their addresses refer to. */
export interface WasmKernels {
  memory: HostMemory;
  product: Product;
  softmax: Softmax;
  version: string;
}

/**
 * TensorFlow.js' WebAssembly kernels (XNNPACK), called by address and without TensorFlow.js' engine: steps of small nets are
 * dominated by dispatch, which costs 1 µs here and 30 µs with `tf.fused.matMul`. Nor is the engine loaded, a megabyte of
 * JavaScript that would delay the start of each worker by 35 ms. Entire steps and log-densities have kernels of their own.
 */
export function wasmOn(identity: string, { memory, product, softmax }: Omit<WasmKernels, 'version'>) {
  const host = hostBackend(identity, memory, product, softmax);
  const { make, view } = host;
  const [startSteps, densities] = [stepKernel(), densityKernel()];
  return {
    ...host,
    training(net: FlatNet, loss: Loss, linear = -1): BackendTraining | null {
      const { step, end } = startSteps(net, loss, linear);
      return {
        step: ({ x, target, codes }, rate, count) =>
          step(view(x), view(target), rate, count, codes && { ...codes, target: view(codes.target) }),
        end,
      };
    },
    logDensity(x: Tensor, w: Tensor, b: Tensor, constant: Tensor): Tensor | null {
      const count = elementCount(x.shape.slice(0, -2));
      const out = make([...x.shape.slice(0, -1), constant.shape.at(-1)!]);
      const all = [x, w, b, constant, out].map(view);
      for (let i = 0; i < count; i++) {
        const [from, weights, bias, constants, to] = all.map((values) =>
          values.subarray((i * values.length) / count, ((i + 1) * values.length) / count),
        );
        densities(from, weights, bias, constants, to);
      }
      return out;
    },
  };
}

export async function wasmBackend(): Promise<Backend> {
  const kernels = await wasmKernels();
  return wasmOn(`wasm/${kernels.version}/${STEPS_VERSION}`, kernels);
}

let module: Promise<Module> | undefined;

/** Events of errors that nobody has caught. */
const ENDINGS = ['uncaughtException', 'unhandledRejection'];

/** The build with SIMD and without threads, which TensorFlow.js chooses in Node.js too. All backends share its heap. */
async function instantiate(): Promise<Module> {
  const factory: Factory = require('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js');
  const locateFile = (_: string, folder: string) => `${folder}tfjs-backend-wasm-simd.wasm`;
  const before = ENDINGS.map((event) => process.rawListeners(event));
  const loading = factory({ locateFile });
  // At once it has made itself the one to decide how this process ends, which is not always ours.
  for (const [i, event] of ENDINGS.entries())
    for (const listener of process.rawListeners(event))
      if (!before[i].includes(listener)) process.off(event, listener as () => void);
  const wasm = await loading;
  wasm.cwrap('init', null, [])();
  return wasm;
}

export async function wasmKernels(): Promise<WasmKernels> {
  module ??= instantiate();
  const wasm = await module;
  const registerTensor = wasm.cwrap('register_tensor', null, Array(3).fill('number'));
  const disposeData = wasm.cwrap('dispose_data', null, ['number']);
  const fused = wasm.cwrap('_FusedMatMul', null, Array(13).fill('number'));
  const softmax = wasm.cwrap('Softmax', null, Array(4).fill('number'));
  const shapes = wasm._malloc(24);

  return {
    version: require('@tensorflow/tfjs-backend-wasm/package.json').version,
    memory: {
      allocate(size) {
        const bytes = 4 * Math.max(size, 1);
        // `_malloc` takes the number of bytes modulo 2³².
        const address = bytes < ADDRESSABLE ? wasm._malloc(bytes) >>> 0 : 0;
        if (!address)
          throw new RangeError(`out of memory: the WASM heap has no room for ${bytes} more bytes`);
        return address;
      },
      release: (address) => wasm._free(address),
      view: (address, size) => new Float32Array(wasm.HEAPU8.buffer, address, size),
    },
    product(a, m, k, b, n, bias, relu, out) {
      wasm.HEAP32.set([1, m, k, 1, k, n], shapes >> 2);
      registerTensor(A, m * k, a);
      registerTensor(B, k * n, b);
      if (bias) registerTensor(BIAS, n, bias);
      registerTensor(OUT, m * n, out);
      fused(A, shapes, 3, B, shapes + 12, 3, 0, 0, relu ? RELU : LINEAR, bias && BIAS, 0, 0, OUT);
      // XNNPACK caches packed weights by id: unless released at once, the next product would use old ones.
      disposeData(A);
      disposeData(B);
      if (bias) disposeData(BIAS);
      disposeData(OUT);
    },
    softmax(x, rows, cols, out) {
      registerTensor(A, rows * cols, x);
      registerTensor(OUT, rows * cols, out);
      softmax(A, OUT, cols, rows);
      disposeData(A);
      disposeData(OUT);
    },
  };
}
