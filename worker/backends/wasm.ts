import { createRequire } from 'node:module';
import { kernels } from '../kernel/kernels.ts';
import { STEPS_VERSION } from '../kernel/step-kernel.ts';
import type { Backend } from './backend.ts';
import { hostBackend, type Memory, type Product } from './host.ts';

// Imported, these CommonJS bundles of a megabyte would first be scanned for the names they export: 0.1 s a worker.
const require = createRequire(import.meta.url);
const tf: typeof import('@tensorflow/tfjs-core') = require('@tensorflow/tfjs-core');
const { setThreadsCount, version_wasm }: typeof import('@tensorflow/tfjs-backend-wasm') =
  require('@tensorflow/tfjs-backend-wasm');

const RELU = 1;
const LINEAR = 0;
/** Ids for the operands of the product at hand; TensorFlow.js counts its own up from 1. */
const [A, B, BIAS, OUT] = [1 << 29, (1 << 29) + 1, (1 << 29) + 2, (1 << 29) + 3];

/** What is used of TensorFlow.js' Emscripten module, which its own types leave out. */
interface Module {
  _malloc(bytes: number): number;
  _free(address: number): void;
  HEAPU8: Uint8Array;
  HEAP32: Int32Array;
  cwrap(name: string, returns: null, parameters: string[]): (...args: number[]) => void;
  tfjs: {
    registerTensor(id: number, size: number, address: number): void;
    disposeData(id: number): void;
  };
}

/** XNNPACK's kernels and the memory that they work on, by address. */
export interface WasmKernels {
  memory: Memory;
  product: Product;
  softmax: (x: number, rows: number, cols: number, out: number) => void;
  version: string;
}

/**
 * TensorFlow.js on WebAssembly (XNNPACK). Its fused product is called by address, without the engine: a step of these
 * small nets is all dispatch, and this costs a microsecond where `tf.fused.matMul` costs thirty.
 */
export async function wasmBackend(): Promise<Backend> {
  const { memory, product, softmax, version } = await wasmKernels();
  const identity = `wasm/${version}/${STEPS_VERSION}`;
  return hostBackend(identity, memory, product, softmax, kernels());
}

export async function wasmKernels(): Promise<WasmKernels> {
  setThreadsCount(1);
  await tf.setBackend('wasm');
  const { wasm } = tf.backend() as unknown as { wasm: Module };
  const fused = wasm.cwrap('_FusedMatMul', null, Array(13).fill('number'));
  const softmax = wasm.cwrap('Softmax', null, Array(4).fill('number'));
  const { registerTensor, disposeData } = wasm.tfjs;
  const shapes = wasm._malloc(24);

  return {
    version: version_wasm,
    memory: {
      allocate(size) {
        const address = wasm._malloc(4 * Math.max(size, 1)) >>> 0;
        if (!address) throw new Error(`the WASM heap has no room for ${4 * size} more bytes`);
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
      // The packed weights are cached by id: the ids are given back at once, or the next product would use old ones.
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
