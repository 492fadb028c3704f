import { hostname } from 'node:os';
import { UserError } from '../../base/user-error.ts';
import type { WorkerSpec } from './supervisor.ts';

/** Which workers this machine gets, and the backend that they compute on. */

/** Time to load a backend on a GPU, ms. */
const PROOF_MS = 120_000;

/** What the user asks for. */
export interface BackendRequest {
  /** `auto`, or the name of a backend. */
  backend: string;
  /** The adapter that webgpu takes, from 0. */
  gpu: number;
  requireGpu: boolean;
}

/** `why` this one, for people. */
export type BackendChoice = BackendRequest & { why: string };

/**
 * The backend for this request on this machine; loads none, except to prove that a required GPU works. `asked`: the
 * option that requires a GPU, for messages; `pinned`: workers are pinned to CUDA devices.
 */
export async function backendOf(
  { backend, gpu, requireGpu }: BackendRequest,
  { pinned = false, asked = '--require-gpu' } = {},
): Promise<BackendChoice> {
  const { chooseBackend } = await import('../compute/backends/load.ts');
  const choice = await chooseBackend(backend, { requireGpu, pinned, flag: asked });
  if (gpu > 0 && choice.backend !== 'webgpu')
    throw new UserError(
      `--gpu ${gpu} is for --backend webgpu; CUDA’s cards are chosen by CUDA_VISIBLE_DEVICES`,
    );
  if (requireGpu) {
    // In a child process, as a driver may crash.
    const { probe } = await import('./doctor/probe.ts');
    const argument = JSON.stringify({ backend: choice.backend, gpu, flag: asked });
    const proof = await probe('gpu', argument, PROOF_MS);
    if ('problem' in proof) throw new UserError(proof.problem);
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

/**
 * The workers that these flags ask for (`gpus`: `all`, `none`, or comma-separated numbers; `perGpu` on each; `cpus` without a GPU), each
 * pinned to one GPU or MIG instance by its UUID, or to none. UserError for a GPU that does not exist or is requested twice, or if no worker
 * is requested. Runs nvidia-smi only if necessary.
 */
export async function workersFor({
  perGpu,
  cpus = 0,
  gpus = cpus ? 'none' : 'all',
}: {
  gpus?: string;
  perGpu: number;
  cpus?: number;
}): Promise<WorkerSpec[]> {
  const { checkGpuList, chooseDevices, listGpus } = await import('../compute/gpus.ts');
  const host = hostname();
  checkGpuList(gpus);
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  const devices = gpus === 'none' ? [] : chooseDevices(gpus, await listGpus(), visible);
  if (!devices.length && gpus === 'all')
    throw new UserError(
      `--gpus all: CUDA_VISIBLE_DEVICES=${visible} hides all GPUs of this host; unset it, or name GPUs with --gpus`,
    );
  const specs: WorkerSpec[] = devices.flatMap(({ name, uuid }) =>
    Array.from({ length: perGpu }, (_, i) => ({
      name: `${host}/${name}${perGpu > 1 ? `-${i}` : ''}`,
      pinned: true,
      env: { CUDA_VISIBLE_DEVICES: uuid },
    })),
  );
  for (let i = 0; i < cpus; i++)
    specs.push({
      name: `${host}/cpu${i}`,
      env: { CUDA_VISIBLE_DEVICES: '-1' },
      options: { requireGpu: false },
    });
  if (!specs.length)
    throw new UserError(`no workers to start: --gpus ${gpus}, --cpus ${cpus}; set one of the two`);
  return specs;
}
