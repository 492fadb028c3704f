import { existsSync, statSync } from 'node:fs';
import { seconds } from '../base/numbers.ts';
import { UserError } from '../base/user-error.ts';
import { BACKENDS } from '../worker/compute/backends/load.ts';
import type { BackendChoice } from '../worker/host/plan.ts';
import type { ProcessOptions } from '../worker/process.ts';
import type { Flags, FlagValues } from './flag.ts';

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
  if (existsSync(dataRoot) && !statSync(dataRoot).isDirectory())
    throw new UserError(`--data-root ${dataRoot} is a file: name a folder, below which data files are`);
  if (!existsSync(dataRoot)) throw new UserError(`--data-root ${dataRoot} does not exist`);
  return {
    connect,
    key: key === undefined ? undefined : (await import('../proto/key-files.ts')).readWorkerKey(key),
    dataRoot,
    reconnectFor: seconds('--reconnect-for', reconnectFor),
    giveUpAfter: giveUpAfter === undefined ? undefined : seconds('--give-up-after', giveUpAfter),
  };
}
