import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { statusOf } from '../base/files.ts';
import { seconds } from '../base/numbers.ts';
import { UserError } from '../base/user-error.ts';
import { isRemote, parsePrefix } from '../data/remote/address.ts';
import { BACKENDS } from '../worker/compute/backends/load.ts';
import type { BackendChoice } from '../worker/host/plan.ts';
import type { ProcessOptions } from '../worker/process.ts';
import type { Flags, FlagValues } from './flag.ts';

const RUN = 'Run:';
const BACKEND = 'Backend:';

/** Flags of all commands that start workers. */
const backendFlags = {
  backend: {
    type: 'string',
    group: BACKEND,
    default: 'auto',
    choices: ['auto', ...BACKENDS],
    describe:
      'compute backend; auto: CUDA or else TensorFlow on the CPU if set up (dpmesh setup), otherwise wasm',
  },
  'require-gpu': {
    type: 'boolean',
    group: BACKEND,
    default: false,
    describe: 'exit with code 2 instead of computing without a GPU',
  },
  gpu: {
    type: 'number',
    group: BACKEND,
    default: 0,
    requiresArg: true,
    describe: 'index of the adapter for webgpu, from 0 (dpmesh doctor lists adapters)',
  },
} as const satisfies Flags;

/** Flags that select the GPUs of a host and the number of workers on each. */
export const gpuFlags = {
  gpus: {
    type: 'string',
    requiresArg: true,
    describe: 'start workers on these GPUs: all, none, or numbers as in nvidia-smi (0,2)',
  },
  'per-gpu': { type: 'number', requiresArg: true, default: 1, describe: 'number of workers on each GPU' },
} as const satisfies Flags;

/** Flags of a run with workers on this machine. */
export const localWorkerFlags = {
  workers: {
    type: 'number',
    alias: 'n-jobs',
    group: RUN,
    requiresArg: true,
    describe:
      'number of worker processes, −1: one per core, −2: all cores but one; does not affect the result',
    defaultDescription: 'one per core, at most --shards',
  },
  gpus: { ...gpuFlags.gpus, group: RUN, defaultDescription: 'none' },
  'per-gpu': { ...gpuFlags['per-gpu'], group: RUN },
  ...backendFlags,
} as const satisfies Flags;

/** Flags of workers that join a coordinator elsewhere. */
export const joinFlags = {
  connect: {
    type: 'string',
    demandOption: true,
    describe: 'address of the coordinator, tcp://HOST:PORT',
    requiresArg: true,
  },
  key: {
    type: 'string',
    requiresArg: true,
    describe: 'key file of this worker, made by dpmesh keygen',
    defaultDescription: 'none, no encryption',
  },
  ...backendFlags,
  'data-root': {
    type: 'string',
    array: true,
    default: ['.'],
    defaultDescription: '.',
    requiresArg: true,
    describe:
      'read only data files below these folders and prefixes such as s3://bucket/sets, with blanks between; other rows come from the coordinator',
  },
  'reconnect-for': {
    type: 'number',
    default: 600,
    requiresArg: true,
    describe: 'seconds without contact with the coordinator after which the worker exits',
  },
  'give-up-after': {
    type: 'number',
    requiresArg: true,
    describe: 'like --reconnect-for, until the first contact',
    defaultDescription: '--reconnect-for',
  },
} as const satisfies Flags;

/** The options of a worker process, except its name and backend. UserError for an invalid flag. */
export async function joinOptionsOf({
  connect,
  key,
  dataRoot,
  reconnectFor,
  giveUpAfter,
}: FlagValues<typeof joinFlags>): Promise<Omit<ProcessOptions, 'name' | 'quiet' | keyof BackendChoice>> {
  const port = Number(/:(\d+)$/.exec(connect)?.[1] ?? 0);
  if (port > 65535 || !/^tcp:\/\/[^\s/]+:\d+$/.test(connect))
    throw new UserError(`--connect ${connect} must look like tcp://HOST:PORT`);
  return {
    connect,
    key: key === undefined ? undefined : (await import('../proto/key-files.ts')).readWorkerKey(key),
    // A worker uses it whenever it joins; its folder may have been renamed by then.
    dataRoots: dataRoot.map(checkedRoot),
    reconnectFor: seconds('--reconnect-for', reconnectFor),
    giveUpAfter: giveUpAfter === undefined ? undefined : seconds('--give-up-after', giveUpAfter),
  };
}

/** A folder as an absolute path, or a prefix of addresses. UserError for a value that is neither. */
function checkedRoot(root: string): string {
  if (isRemote(root)) return parsePrefix(root);
  if (statusOf(root)?.isDirectory() === false)
    throw new UserError(`--data-root ${root} is a file; pass the folder that contains the data files`);
  if (!existsSync(root)) throw new UserError(`--data-root ${root} does not exist; pass an existing folder`);
  return resolve(root);
}
