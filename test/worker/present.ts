import type { Backend } from '../../worker/compute/backends/backend.ts';
import { cpuBackend } from '../../worker/compute/backends/cpu.ts';
import { loadBackend } from '../../worker/compute/backends/load.ts';
import { loadBinding } from '../../worker/compute/backends/tf-binding.ts';
import { TfDevice } from '../../worker/compute/backends/tf-device.ts';
import { TfHost } from '../../worker/compute/backends/tf-host.ts';
import { wasmBackend, wasmKernels } from '../../worker/compute/backends/wasm.ts';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';

export interface Tolerances {
  /** Sums of up to about a hundred products of size one. */
  product: number;
  /** Sums of as many terms, without a product's kernel. */
  sum: number;
  /** By the kernel's own exp. */
  softmax: number;
  loss: number;
  /** Of a gradient's largest entry. Costs by Φ·Θ in float32 cancel a digit or two. */
  gradient: number;
}

/** Sums in float64, rounded once; products in float32. */
const HOST: Tolerances = { product: 2e-5, sum: 2e-7, softmax: 5e-7, loss: 1e-6, gradient: 1e-5 };
/** All in float32. TF32, with ten bits, would miss each of these a hundredfold. */
const DEVICE: Tolerances = { product: 2e-5, sum: 5e-6, softmax: 1e-6, loss: 1e-5, gradient: 1e-5 };

export const toleranceOf = ({ identity }: Backend): Tolerances =>
  /^(wasm|cpu)\//.test(identity) ? HOST : DEVICE;

/** Why a backend is not tested here, by its name. */
export const absent: Record<string, string> = {};

const globals = globalThis as { _tfengine?: unknown };

async function present(name: 'tensorflow' | 'webgpu'): Promise<Backend[]> {
  const found = name === 'tensorflow' ? findTensorflow() : findWebgpu();
  if (found && !('problem' in found)) {
    // Copies of TensorFlow.js share one engine, which computes on one backend: beside a test's, WebGPU gets one of its own.
    const shared = globals._tfengine;
    globals._tfengine = undefined;
    const backend = await loadBackend(name);
    if (shared) globals._tfengine = shared;
    return [backend];
  }
  absent[name] = found ? found.problem : `not set up; dpmesh setup ${name}`;
  return [];
}

/** `webgpu` alone in its process: Dawn and TensorFlow do not bear each other. */
const alone = process.env.DPMESH_TEST_WEBGPU === '1';
const tensorflow = alone ? [] : await present('tensorflow');

/** TensorFlow on the CPU in two more ways: with every product, however small, and by the operations that it has on a GPU. */
const inFull = async () => [
  new TfHost(loadBinding, 'tensorflow’s products', await wasmKernels(), (m, k, n) => m * k * n > 0),
  new TfDevice(loadBinding(), 'tensorflow’s operations'),
];

const { memory } = await wasmKernels();
/** The size of the memory that all backends on the processor share: it only grows. */
export const heapBytes = () => memory.view(0, 0).buffer.byteLength;

/** A backend as a plain object of bound methods: a test spreads it to replace some of its verbs. */
function spreadable(backend: Backend): Backend {
  const methods: Record<string, unknown> = {};
  for (let at: object = backend; at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) {
      const value = backend[name as keyof Backend] as unknown;
      if (name !== 'constructor') methods[name] ??= typeof value === 'function' ? value.bind(backend) : value;
    }
  return methods as unknown as Backend;
}

/** All that this machine has: the plain ones, and those that are set up. */
export const backends: Backend[] = [
  await wasmBackend(),
  cpuBackend(),
  ...tensorflow,
  ...(tensorflow.some(({ device }) => !device) ? await inFull() : []),
  ...(alone ? await present('webgpu') : []),
].map(spreadable);
