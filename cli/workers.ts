import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { validated } from '../coordinator/config.ts';
import { seconds } from '../coordinator/domains.ts';
import { isRemote, parsePrefix } from '../data/remote/address.ts';
import type { BackendChoice } from '../worker/host/plan.ts';
import type { ProcessOptions } from '../worker/process.ts';
import {
  type Command,
  defineCommand,
  type Flags,
  type FlagValues,
  flagsFor,
  type RunValues,
} from './flags.ts';
import { onSignal } from './process.ts';

/** The commands of workers that join a coordinator elsewhere, and of their keys. */

/** Flags of workers that join a coordinator elsewhere. */
const joinFlags = {
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

type JoinValues = FlagValues<typeof joinFlags> & Pick<Required<RunValues>, 'backend' | 'requireGpu' | 'gpu'>;

/** The options of a worker process, except its name and backend. UserError for an invalid flag. */
async function joinOptionsOf({
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
    reconnectFor: secondsOf('--reconnect-for', reconnectFor),
    giveUpAfter: giveUpAfter === undefined ? undefined : secondsOf('--give-up-after', giveUpAfter),
  };
}

const secondsOf = (flag: string, value: number) => validated(seconds(), value, flag);

/** A folder as an absolute path, or a prefix of addresses. UserError for a value that is neither. */
function checkedRoot(root: string): string {
  if (isRemote(root)) return parsePrefix(root);
  if (statusOf(root)?.isDirectory() === false)
    throw new UserError(`--data-root ${root} is a file; pass the folder that contains the data files`);
  if (!existsSync(root)) throw new UserError(`--data-root ${root} does not exist; pass an existing folder`);
  return resolve(root);
}

export const worker: Command = {
  command: 'worker',
  describe: 'join a coordinator and compute for it on one core or GPU',
  builder: {
    ...joinFlags,
    ...flagsFor('worker'),
    http: {
      type: 'string',
      requiresArg: true,
      describe: 'HOST:PORT of this worker’s own metrics (the coordinator has those of all workers)',
      defaultDescription: 'none',
    },
    name: {
      type: 'string',
      default: '',
      defaultDescription: 'none',
      describe: 'name in logs, events and metrics',
      requiresArg: true,
    },
  },
  examples: [
    ['worker --connect tcp://HOST:5555', 'one core'],
    ['worker --connect tcp://HOST:5555 --key alice.key', 'with a key of dpmesh keygen'],
  ],
  async handler(values: JoinValues & { http?: string; name: string }) {
    const { backendOf } = await import('../worker/host/plan.ts');
    const options = {
      ...(await joinOptionsOf(values)),
      ...(await backendOf(values)),
      follows: values.backend === 'auto' && !values.requireGpu,
    };
    const http =
      values.http === undefined
        ? undefined
        : {
            ...(await import('../base/address.ts')).parseBindAddress('--http', values.http),
            version: (await import('../base/version.ts')).dpmeshVersion(),
          };
    const { serve } = await import('../worker/process.ts');
    await serve({ ...options, name: values.name, quiet: false, http });
  },
};

export const launch: Command = {
  command: 'launch',
  describe: 'start workers on the GPUs or cores of this host, and keep them running',
  builder: {
    ...flagsFor('launch'),
    gpus: { ...flagsFor('launch').gpus, defaultDescription: 'all; none with --cpus' },
    cpus: {
      type: 'number',
      requiresArg: true,
      default: 0,
      describe: 'number of workers without a GPU, on one core each',
    },
    'dry-run': {
      type: 'boolean',
      default: false,
      describe: 'only print which worker would be on which device',
    },
    ...joinFlags,
    key: { ...joinFlags.key, describe: 'key file of these workers, made by dpmesh keygen' },
    'give-up-after': {
      ...joinFlags['give-up-after'],
      defaultDescription: 'never: wait for the coordinator',
    },
  },
  examples: [
    ['launch --gpus all --connect tcp://HOST:5555', 'one worker for each GPU'],
    ['launch --cpus 8 --connect tcp://HOST:5555', 'eight, on one core each'],
    ['launch --gpus 0,1 --per-gpu 2 --connect tcp://HOST:5555', 'two on each of two GPUs'],
  ],
  async handler(
    values: JoinValues &
      Pick<Required<RunValues>, 'perGpu'> & { gpus?: string; cpus: number; dryRun: boolean },
  ) {
    const shared = await joinOptionsOf(values);
    const { backendFor, workersFor } = await import('../worker/host/plan.ts');
    const specs = await workersFor(values);
    if (values.dryRun) {
      for (const { name, env } of specs)
        console.log(`${env?.CUDA_VISIBLE_DEVICES === '-1' ? 'cpu' : env?.CUDA_VISIBLE_DEVICES} -> ${name}`);
      return;
    }
    const backend = await backendFor(specs, values);
    const { launch } = await import('../worker/host/launch.ts');
    process.exitCode = await launch(
      specs,
      {
        ...shared,
        ...backend,
        follows: values.backend === 'auto' && !backend.requireGpu,
        giveUpAfter: shared.giveUpAfter ?? null,
      },
      onSignal,
    );
  },
};

/** Writes the keys and prints where each file belongs, but never a secret. */
export const keygen = defineCommand({
  command: 'keygen <folder>',
  describe: 'create a folder of keys for a coordinator and its workers, or add workers to it',
  builder: {
    workers: {
      type: 'string',
      default: 'worker',
      requiresArg: true,
      describe: 'comma-separated names of workers; more can be added later',
    },
    json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
  },
  examples: [
    ['keygen keys --workers alice,bob', 'keys/server.key, alice.key, bob.key, allowed'],
    ['keygen keys --workers carol', 'add a worker'],
    ["coordinator x.npy --bind 'tcp://*:5555' --keys keys", 'use them'],
  ],
  async handler({ folder, workers, json }) {
    const { makeKeyFolder, makeKeys } = await import('../proto/key-files.ts');
    const { assertLocal } = await import('../data/remote/address.ts');
    const { lockDirectory } = await import('../coordinator/storage/run-lock.ts');
    const names = workers.split(',').map((name) => name.trim());
    assertLocal('the folder', String(folder));
    makeKeyFolder(String(folder), names);
    // Two processes at a time could lose lines of the list.
    const release = await lockDirectory(String(folder), 'dpmesh keygen');
    const keys = makeKeys(String(folder), names);
    release();
    if (json) return void console.log(JSON.stringify(keys));
    console.log(`${keys.server.file}: key of the coordinator${keys.server.made ? '' : ', unchanged'}`);
    for (const { name, file } of keys.workers)
      console.log(`${file}: copy it to ${name} over a secure channel`);
    console.log(`${keys.allowed}: list of workers that may join`);
    console.log(`start with: dpmesh coordinator --keys ${folder} …; dpmesh worker --key FILE …`);
  },
});
