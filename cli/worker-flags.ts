import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { UserError } from '../base/user-error.ts';
import { BACKENDS } from '../worker/compute/backends/load.ts';
import type { WorkerSpec } from '../worker/host/supervised-worker.ts';
import type { ProcessOptions } from '../worker/process.ts';
import { type Flags, type FlagValues, seconds, wholeNumber } from './flag.ts';

const RUN = 'This run:';
const BACKEND = 'What computes:';

/** Flags of whoever starts workers. */
const backendFlags = {
  backend: {
    type: 'string',
    group: BACKEND,
    default: 'auto',
    choices: ['auto', ...BACKENDS],
    describe: 'what computes; auto: CUDA, else TensorFlow, where set up (dpmesh setup), else wasm',
  },
  'require-gpu': {
    type: 'boolean',
    group: BACKEND,
    default: false,
    describe: 'end with exit code 2 rather than compute without a GPU',
  },
  gpu: {
    type: 'number',
    group: BACKEND,
    default: 0,
    requiresArg: true,
    describe: 'which adapter webgpu takes, counted from 0 (dpmesh doctor lists them)',
  },
} as const satisfies Flags;

/** How many workers a host gets, and on which GPUs. */
export const gpuFlags = {
  gpus: {
    type: 'string',
    requiresArg: true,
    describe: 'one worker for each of these GPUs: all, none, or numbers as nvidia-smi counts (0,2)',
  },
  'per-gpu': { type: 'number', requiresArg: true, default: 1, describe: 'workers on each GPU' },
} as const satisfies Flags;

/** Flags of a run with workers on this machine. */
export const localWorkerFlags = {
  workers: {
    type: 'number',
    alias: 'n-jobs',
    group: RUN,
    requiresArg: true,
    describe: 'worker processes; changes the time, never the result',
    defaultDescription: 'one a core, at most --shards',
  },
  gpus: { ...gpuFlags.gpus, group: RUN, defaultDescription: 'none: --workers' },
  'per-gpu': { ...gpuFlags['per-gpu'], group: RUN },
  ...backendFlags,
} as const satisfies Flags;

/** Flags of workers that join a coordinator elsewhere. */
export const joinFlags = {
  connect: {
    type: 'string',
    demandOption: true,
    describe: 'the coordinator: tcp://HOST:PORT',
    requiresArg: true,
  },
  key: {
    type: 'string',
    requiresArg: true,
    describe: 'this worker’s key file, from dpmesh keygen',
    defaultDescription: 'none: not encrypted',
  },
  ...backendFlags,
  'data-root': {
    type: 'string',
    default: '.',
    requiresArg: true,
    describe: 'read data files below this folder only; rows of others come from the coordinator',
  },
  'reconnect-for': {
    type: 'number',
    default: 600,
    requiresArg: true,
    describe: 'seconds without a word from the coordinator after which the worker gives up',
  },
  'give-up-after': {
    type: 'number',
    requiresArg: true,
    describe: 'the same before the coordinator was ever reached',
    defaultDescription: '--reconnect-for',
  },
} as const satisfies Flags;

interface BackendChoice {
  backend: string;
  why: string;
  gpu: number;
  requireGpu: boolean;
}
export type BackendValues = Omit<FlagValues<typeof backendFlags>, 'backend'> & { backend: string };

/**
 * The backend that the flags and this machine lead to; loads none, except to prove a GPU that is required. `asked`: what
 * requires one, for messages; `pinned`: workers are pinned to CUDA's cards.
 */
export async function backendOf(
  { backend, gpu, requireGpu }: BackendValues,
  { pinned = false, asked = '--require-gpu' } = {},
): Promise<BackendChoice> {
  wholeNumber('--gpu', gpu, 0);
  const { chooseBackend } = await import('../worker/compute/backends/choose.ts');
  const choice = await chooseBackend(backend, { requireGpu, pinned, flag: asked });
  if (gpu > 0 && choice.backend !== 'webgpu')
    throw new UserError(
      `--gpu ${gpu} is for --backend webgpu; CUDA’s cards are chosen by CUDA_VISIBLE_DEVICES`,
    );
  if (requireGpu) {
    const { proveGpu } = await import('../worker/compute/backends/prove.ts');
    await proveGpu(choice.backend, gpu, asked);
  }
  return { ...choice, gpu, requireGpu };
}

/**
 * What computes on these workers. Who names GPUs and leaves the backend to dpmesh wants a backend that uses them: a
 * UserError where there is none, not a slow run.
 */
export async function backendFor(specs: WorkerSpec[], values: BackendValues): Promise<BackendChoice> {
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
      '--gpus and --cpus: a card’s bits are not a core’s, and a run takes one kind of them (but with --mixed): start two launches, or say --backend wasm',
    );
  return choice;
}

function backendWithGpus(values: BackendValues): Promise<BackendChoice> {
  return backendOf({ ...values, requireGpu: true }, { pinned: true, asked: '--gpus' }).catch((error) => {
    throw error instanceof UserError ? new UserError(`${error.message}; or say --backend wasm`) : error;
  });
}

export type GpuValues = FlagValues<typeof gpuFlags>;

/** The workers that `--gpus`, `--per-gpu` and `--cpus` ask for. */
export async function workersFor({ gpus, perGpu, cpus = 0 }: GpuValues & { cpus?: number }) {
  wholeNumber('--per-gpu', perGpu, 1, 64);
  wholeNumber('--cpus', cpus, 0, 1024);
  const { workersOn } = await import('../worker/host/launch.ts');
  return workersOn({ gpus: gpus ?? (cpus ? 'none' : 'all'), perGpu, cpus, host: hostname() });
}

/** What a worker's process is told, but for its name and backend. UserError for a flag that cannot be. */
export async function joiningOf({
  connect,
  key,
  dataRoot,
  reconnectFor,
  giveUpAfter,
}: FlagValues<typeof joinFlags>): Promise<Omit<ProcessOptions, 'name' | 'quiet' | keyof BackendChoice>> {
  const port = Number(/:(\d+)$/.exec(connect)?.[1] ?? 0);
  if (port > 65535 || !/^tcp:\/\/[^\s/]+:\d+$/.test(connect))
    throw new UserError(`--connect ${connect} must look like tcp://HOST:PORT`);
  if (!existsSync(dataRoot)) throw new UserError(`--data-root ${dataRoot} does not exist`);
  return {
    connect,
    key: key === undefined ? undefined : (await import('../proto/key-files.ts')).readWorkerKey(key),
    dataRoot,
    reconnectFor: seconds('--reconnect-for', reconnectFor),
    giveUpAfter: giveUpAfter === undefined ? undefined : seconds('--give-up-after', giveUpAfter),
  };
}
