import type { Backend } from '../../worker/compute/backends/backend.ts';
import { cpuBackend } from '../../worker/compute/backends/host.ts';
import { loadBackend } from '../../worker/compute/backends/load.ts';
import { loadBinding } from '../../worker/compute/backends/tf-binding.ts';
import { tfHost } from '../../worker/compute/backends/tf-host.ts';
import { tfDevice } from '../../worker/compute/backends/tf-ops.ts';
import { wasmBackend, wasmKernels } from '../../worker/compute/backends/wasm.ts';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';

export interface Tolerances {
  /** Sums of up to about a hundred products of size one. */
  product: number;
  /** Sums of as many terms, but not by the kernel of products. */
  sum: number;
  /** By the kernel's own exp. */
  softmax: number;
  loss: number;
  /** Relative to a gradient's largest entry. Costs by Φ·Θ in float32 lose a digit or two by cancellation. */
  gradient: number;
}

/** Sums in float64, rounded once; products in float32. */
const HOST: Tolerances = { product: 2e-5, sum: 2e-7, softmax: 5e-7, loss: 1e-6, gradient: 1e-5 };
/** All in float32. TF32, with ten bits, would exceed each of these a hundredfold. */
const DEVICE: Tolerances = { product: 2e-5, sum: 5e-6, softmax: 1e-6, loss: 1e-5, gradient: 1e-5 };

export const toleranceOf = ({ identity }: Backend): Tolerances =>
  /^(wasm|cpu)\//.test(identity) ? HOST : DEVICE;

/** Why a backend is not tested here, by its name. */
export const absent: Record<string, string> = {};

const globals = globalThis as { _tfengine?: unknown };

async function present(name: 'tensorflow' | 'webgpu'): Promise<Backend[]> {
  const installed = name === 'tensorflow' ? findTensorflow() : findWebgpu();
  if (installed && !('problem' in installed)) {
    // Copies of TensorFlow.js share one engine with one active backend: WebGPU gets an engine separate from that of a test.
    const shared = globals._tfengine;
    globals._tfengine = undefined;
    const backend = await loadBackend(name);
    if (shared) globals._tfengine = shared;
    return [backend];
  }
  absent[name] = installed ? installed.problem : `not set up; dpmesh setup ${name}`;
  return [];
}

/** `webgpu` is tested in a process of its own: Dawn and TensorFlow conflict. */
const alone = process.env.DPMESH_TEST_WEBGPU === '1';
const tensorflow = alone ? [] : await present('tensorflow');

/** TensorFlow on the CPU in two more ways: for all products, however small, and by the operations that it uses on a GPU. */
const tensorflowVariants = async () => [
  tfHost(loadBinding, 'tensorflow’s products', await wasmKernels(), (m, k, n) => m * k * n > 0),
  tfDevice(loadBinding(), 'tensorflow’s operations'),
];

const { memory } = await wasmKernels();
/** The size of the memory that all CPU backends share: it only grows. */
export const heapBytes = () => memory.view(0, 0).buffer.byteLength;

/** All backends of this machine: the built-in ones, and those that are set up. */
export const backends: Backend[] = [
  await wasmBackend(),
  cpuBackend(),
  ...tensorflow,
  ...(tensorflow.some(({ device }) => !device) ? await tensorflowVariants() : []),
  ...(alone ? await present('webgpu') : []),
];
