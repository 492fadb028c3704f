import { createRequire } from 'node:module';
import { kernels } from '../kernels/kernels.ts';
import { STEPS_VERSION } from '../kernels/step-kernel.ts';
import type { Backend } from './backend.ts';
import { hostBackend, type Memory, type Product } from './host.ts';

const require = createRequire(import.meta.url);

const RELU = 1;
const LINEAR = 0;
/** Ids for the operands of the product at hand; 0 is none. */
const [A, B, BIAS, OUT] = [1, 2, 3, 4];

/** What is used of TensorFlow.js' Emscripten module. */
interface Module {
  _malloc(bytes: number): number;
  _free(address: number): void;
  HEAPU8: Uint8Array;
  HEAP32: Int32Array;
  cwrap(name: string, returns: null, parameters: string[]): (...args: number[]) => void;
}
type Factory = (settings: { locateFile(name: string, folder: string): string }) => Promise<Module>;

/** XNNPACK's kernels and the memory that they work on, by address. */
export interface WasmKernels {
  memory: Memory;
  product: Product;
  softmax: (x: number, rows: number, cols: number, out: number) => void;
  version: string;
  /** The memory's size: it only grows. */
  heapBytes(): number;
}

/**
 * TensorFlow.js on WebAssembly (XNNPACK). Its fused product is called by address, without the engine: a step of these
 * small nets is all dispatch, and this costs a microsecond where `tf.fused.matMul` costs thirty. Nor is the engine loaded, a
 * megabyte of JavaScript for which each worker would start 35 ms later.
 */
export async function wasmBackend(): Promise<Backend> {
  const { memory, product, softmax, version } = await wasmKernels();
  const identity = `wasm/${version}/${STEPS_VERSION}`;
  return hostBackend(identity, memory, product, softmax, kernels());
}

let module: Promise<Module> | undefined;

/** The build with SIMD and without threads, which TensorFlow.js would choose in Node.js too. One heap for all. */
async function instantiate(): Promise<Module> {
  const factory: Factory = require('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js');
  const locateFile = (_: string, folder: string) => `${folder}tfjs-backend-wasm-simd.wasm`;
  const made = await factory({ locateFile });
  made.cwrap('init', null, [])();
  return made;
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
    heapBytes: () => wasm.HEAPU8.length,
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
