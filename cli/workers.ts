import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { cannotListen, parseBindAddress } from '../base/address.ts';
import { statusOf } from '../base/files.ts';
import { assertOpenFiles, COORDINATOR_FILES } from '../base/limits.ts';
import { dpmeshVersion } from '../base/package.ts';
import { indentContinuation } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { assertLocal, isRemote, parsePrefix } from '../data/remote/address.ts';
import { seconds } from '../run/domains.ts';
import { validated } from '../run/option.ts';
import type { CoordinatorAddress } from '../worker/connection.ts';
import {
  type Command,
  defineCommand,
  type FlagValues,
  flagsFor,
  numberFlag,
  REQUIRED,
  type RunValues,
  switchFlag,
  textFlag,
} from './flags.ts';
import { onSignal, reportProblem } from './process.ts';

/** The commands of workers that join a coordinator elsewhere, and of their keys. */

/** Flags of workers that join a coordinator elsewhere. */
const joinFlags = {
  connect: textFlag(
    'address of the coordinator or of a relay, tcp://HOST:PORT; of several, with commas between, the first that answers',
    { ...REQUIRED, isList: true },
  ),
  key: textFlag('key file, made by dpmesh keygen, for all addresses; or one for each, with commas between', {
    defaultDescription: 'none, no encryption',
    isList: true,
  }),
  'data-root': textFlag(
    'read only data files below these folders and prefixes such as s3://bucket/sets, with blanks between; other rows come from the coordinator',
    { array: true, default: ['.'], defaultDescription: '.' },
  ),
  'reconnect-for': numberFlag('seconds without contact with the coordinator after which the worker exits', {
    default: 600,
  }),
  'give-up-after': numberFlag('like --reconnect-for, until the first contact', {
    defaultDescription: '--reconnect-for',
  }),
};

type JoinValues = FlagValues<typeof joinFlags> & Pick<Required<RunValues>, 'backend' | 'requireGpu' | 'gpu'>;

/** The options of a worker process, except its name and backend. UserError for an invalid flag. */
async function joinOptionsOf(values: JoinValues) {
  const { connect, key, dataRoot, reconnectFor, giveUpAfter } = values;
  return {
    places: await placesOf(connect, key),
    // A worker uses it whenever it joins; its folder may have been renamed by then.
    dataRoots: dataRoot.map(checkedRoot),
    reconnectFor: secondsOf('--reconnect-for', reconnectFor),
    giveUpAfter: giveUpAfter === undefined ? undefined : secondsOf('--give-up-after', giveUpAfter),
  };
}

/** The addresses of `--connect`, with their keys. UserError for one that is none, or for another number of keys. */
export async function placesOf(connect: string, key?: string): Promise<CoordinatorAddress[]> {
  const addresses = connect.split(',').map(checkedConnect);
  if (key === undefined) return addresses.map((connect) => ({ connect }));
  const files = key.split(',');
  if (files.length > 1 && files.length !== addresses.length)
    throw new UserError(
      `--key ${key}: ${files.length} files, for another number of addresses (${addresses.length}) in --connect; give one for all, or one for each`,
    );
  const { readWorkerKey } = await import('../proto/keys.ts');
  const keys = files.map(readWorkerKey);
  return addresses.map((connect, i) => ({ connect, key: keys[i] ?? keys[0] }));
}

/** The address of a coordinator. UserError if it is none. */
function checkedConnect(connect: string): string {
  const port = Number(/:(\d+)$/.exec(connect)?.[1] ?? 0);
  if (port > 65535 || !/^tcp:\/\/[^\s/]+:\d+$/.test(connect))
    throw new UserError(`--connect ${connect} must look like tcp://HOST:PORT`);
  return connect;
}

/** The value of a flag. UserError if it is no number of seconds. */
export const secondsOf = (flag: string, value: number) => validated(seconds(), value, flag);

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
    http: textFlag('HOST:PORT of this worker’s own metrics (the coordinator has those of all workers)', {
      defaultDescription: 'none',
    }),
    name: textFlag('name in logs, events and metrics', { default: '', defaultDescription: 'none' }),
  },
  examples: [
    ['worker --connect tcp://HOST:5555', 'one core'],
    ['worker --connect tcp://HOST:5555 --key alice.key', 'with a key of dpmesh keygen'],
  ],
  async handler(values: JoinValues & { http?: string; name: string }) {
    const { backendOf } = await import('../worker/host/plan.ts');
    const { name, http: address, backend, requireGpu } = values;
    const follows = backend === 'auto' && !requireGpu;
    const options = { ...(await joinOptionsOf(values)), ...(await backendOf(values)), follows };
    const http = address === undefined ? undefined : parseBindAddress('--http', address);
    const { serve } = await import('../worker/process.ts');
    const { COMPUTATION } = await import('../tasks/compute/table.ts');
    const port = http && { ...http, version: dpmeshVersion() };
    await serve({ ...options, name, quiet: false, http: port }, COMPUTATION);
  },
};

export const launch: Command = {
  command: 'launch',
  describe: 'start workers on the GPUs or cores of this host, and keep them running',
  builder: {
    ...flagsFor('launch'),
    gpus: { ...flagsFor('launch').gpus, defaultDescription: 'all; none with --cpus' },
    cpus: numberFlag('number of workers without a GPU, on one core each', { default: 0 }),
    'dry-run': switchFlag('only print which worker would be on which device'),
    ...joinFlags,
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
    const follows = values.backend === 'auto' && !backend.requireGpu;
    const { launch } = await import('../worker/host/launch.ts');
    const options = { ...shared, ...backend, follows, giveUpAfter: shared.giveUpAfter ?? null };
    process.exitCode = await launch(specs, options, onSignal);
  },
};

/** Writes the keys and prints where each file belongs, but never a secret. */
export const keygen = defineCommand({
  command: 'keygen <folder>',
  describe: 'create a folder of keys for a coordinator and its workers, or add workers to it',
  builder: {
    workers: textFlag('comma-separated names of workers; more can be added later', {
      default: 'worker',
      isList: true,
    }),
    json: switchFlag('print one JSON object instead of text'),
  },
  examples: [
    ['keygen keys --workers alice,bob', 'keys/server.key, alice.key, bob.key, allowed'],
    ['keygen keys --workers carol', 'add a worker'],
    ["coordinator x.npy --bind 'tcp://*:5555' --keys keys", 'use them'],
  ],
  async handler({ folder, workers, json }) {
    const { makeKeyFolder, makeKeys } = await import('../proto/keys.ts');
    const { lockDirectory } = await import('../run/run-lock.ts');
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

/** A relay between workers and their coordinator. */
export const relay = defineCommand({
  command: 'relay',
  describe: 'stand for many workers at a coordinator: one on each host or rack',
  builder: {
    connect: {
      ...joinFlags.connect,
      describe: joinFlags.connect.describe.replace('a relay', 'another relay'),
    },
    bind: textFlag('address for workers, tcp://HOST:PORT, * for any', { default: 'tcp://127.0.0.1:5556' }),
    key: joinFlags.key,
    keys: textFlag('folder of keys for its workers, made by dpmesh keygen', { defaultDescription: 'none' }),
    insecure: switchFlag('bind to other machines without keys: anyone who can reach the port can join'),
    name: textFlag('name in logs, events and metrics', { default: 'relay' }),
    'reconnect-for': numberFlag('seconds without contact with the coordinator after which the relay exits', {
      default: 600,
    }),
    'heartbeat-timeout': numberFlag('seconds of silence after which a worker is given up', { default: 5 }),
  },
  examples: [
    ["relay --connect tcp://HOST:5555 --bind 'tcp://*:5556' --key rack1.key --keys rack1", 'for a rack'],
    ['launch --gpus all --connect tcp://127.0.0.1:5556', 'workers of a relay'],
  ],
  async handler({ connect, bind, key, keys, insecure, name, reconnectFor, heartbeatTimeout }) {
    const { checkedBind } = await import('../library/workers.ts');
    const { readServerKey, readAllowed } = await import('../proto/keys.ts');
    const { createAuthenticator } = await import('../proto/authenticator.ts');
    const { startRelay } = await import('../relay/relay.ts');
    const { TASKS: tasks } = await import('../tasks/table.ts');
    const { exitCodeOf } = await import('../worker/trouble.ts');
    const log = (line: string) => console.error(indentContinuation(`relay: ${line}`));
    assertOpenFiles(COORDINATOR_FILES, 'a relay');
    const places = await placesOf(connect, key);
    const started = await startRelay({
      ...{ tasks, places, name, log },
      reconnectFor: 1000 * secondsOf('--reconnect-for', reconnectFor),
      heartbeatTimeout: 1000 * secondsOf('--heartbeat-timeout', heartbeatTimeout),
      bind: checkedBind(bind, { keys, insecure }, (line) => log(`warning: ${line}`)),
      authenticator:
        keys === undefined
          ? undefined
          : createAuthenticator(readServerKey(keys).secret, readAllowed(keys), log),
    }).catch((error) => {
      throw cannotListen(bind, error);
    });
    log(`listening on ${started.address}, for the coordinator at ${connect}`);
    onSignal(() => started.leave());
    if (keys !== undefined) process.on('SIGHUP', () => started.rereadKeys(() => readAllowed(keys)));
    await started.done.catch((error) => {
      if (!reportProblem(error)) throw error;
      process.exitCode = exitCodeOf(error);
    });
  },
});
