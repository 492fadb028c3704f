import { hostname } from 'node:os';
import { UserError } from '../../base/user-error.ts';
import type { WorkerSpec } from './supervised-worker.ts';

/** Which workers this machine gets, and the backend that they compute on. */

/** What the user asks for. */
export interface BackendRequest {
  /** `auto`, or the name of a backend. */
  backend: string;
  /** The adapter that webgpu takes, from 0. */
  gpu: number;
  requireGpu: boolean;
}

export interface BackendChoice {
  backend: string;
  /** Why this one, for people. */
  why: string;
  gpu: number;
  requireGpu: boolean;
}

export interface WorkersRequest {
  /** `all`, `none`, or numbers with commas between. */
  gpus?: string;
  perGpu: number;
  /** Workers without a GPU. */
  cpus?: number;
}

/**
 * The backend for this request on this machine; loads none, except to prove that a required GPU works. `asked`: the
 * option that requires a GPU, for messages; `pinned`: workers are pinned to CUDA devices.
 */
export async function backendOf(
  { backend, gpu, requireGpu }: BackendRequest,
  { pinned = false, asked = '--require-gpu' } = {},
): Promise<BackendChoice> {
  wholeNumber('--gpu', gpu, 0);
  const { chooseBackend } = await import('../compute/backends/load.ts');
  const choice = await chooseBackend(backend, { requireGpu, pinned, flag: asked });
  if (gpu > 0 && choice.backend !== 'webgpu')
    throw new UserError(
      `--gpu ${gpu} is for --backend webgpu; CUDA’s cards are chosen by CUDA_VISIBLE_DEVICES`,
    );
  if (requireGpu) {
    const { proveGpu } = await import('../compute/backends/prove.ts');
    await proveGpu(choice.backend, gpu, asked);
  }
  return { ...choice, gpu, requireGpu };
}

/**
 * The backend for these workers. Where GPUs are named and the backend is left open, it must be one that uses them:
 * UserError where there is none, rather than a slow run.
 */
export async function backendFor(specs: WorkerSpec[], values: BackendRequest): Promise<BackendChoice> {
  const pinned = specs.some((spec) => spec.pinned);
  if (!pinned) return backendOf(values);
  if (values.backend === 'webgpu')
    throw new UserError(
      '--gpus is for CUDA’s cards: for --backend webgpu start a worker for each adapter, dpmesh worker --gpu N',
    );
  const isLeftOpen = values.backend === 'auto' && !values.requireGpu;
  const choice = await (isLeftOpen ? backendWithGpus(values) : backendOf(values, { pinned }));
  if (choice.backend === 'tensorflow' && !specs.every((spec) => spec.pinned))
    throw new UserError(
      '--gpus and --cpus compute different bits, which only a run with --mixed accepts: start two launches, or use --backend wasm',
    );
  return choice;
}

function backendWithGpus(values: BackendRequest): Promise<BackendChoice> {
  return backendOf({ ...values, requireGpu: true }, { pinned: true, asked: '--gpus' }).catch((error) => {
    throw error instanceof UserError ? new UserError(`${error.message}; or use --backend wasm`) : error;
  });
}

/** The workers that `--gpus`, `--per-gpu` and `--cpus` ask for. */
export async function workersFor({ gpus, perGpu, cpus = 0 }: WorkersRequest) {
  wholeNumber('--per-gpu', perGpu, 1, 64);
  wholeNumber('--cpus', cpus, 0, 1024);
  const { workersOn } = await import('./launch.ts');
  return workersOn({ gpus: gpus ?? (cpus ? 'none' : 'all'), perGpu, cpus, host: hostname() });
}

/** The number itself. UserError where it is not whole, or out of range. */
function wholeNumber(name: string, value: number, least: number, most?: number): number {
  if (Number.isInteger(value) && value >= least && (most === undefined || value <= most)) return value;
  const range = most === undefined ? `at least ${least}` : `${least} to ${most}`;
  throw new UserError(`${name} ${value} must be a whole number, ${range}`);
}
