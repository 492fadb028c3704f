import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { cannotListen, parseBindAddress } from '../base/address.ts';
import { statusOf } from '../base/files.ts';
import { assertOpenFiles, COORDINATOR_FILES } from '../base/limits.ts';
import { dpmeshVersion } from '../base/package.ts';
import { indentContinuation } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { assertLocal, isRemote, parsePrefix } from '../data/remote/address.ts';
import { JSON_OUTPUT } from '../library/command-options.ts';
import { integer, list, seconds, text, texts, yesOrNo } from '../run/domains.ts';
import { option, type Settings } from '../run/option.ts';
import { RUN_OPTIONS } from '../run/session-options.ts';
import type { CoordinatorAddress } from '../worker/connection.ts';
import { defineCommand } from './flags.ts';
import { onSignal, reportProblem } from './process.ts';

/** The commands of workers that join a coordinator elsewhere, and of their keys. */

/** Options of workers that join a coordinator elsewhere. */
const JOIN = {
  connect: option(list(), {
    help: 'address of the coordinator or of a relay, tcp://HOST:PORT; of several, with commas between, the first that answers',
    isRequired: true,
  }),
  key: option(list(), {
    help: 'key file, made by dpmesh keygen, for all addresses; or one for each, with commas between',
    defaultText: 'none, no encryption',
  }),
  dataRoot: option(texts(), {
    help: 'read only data files below these folders and prefixes such as s3://bucket/sets, with blanks between; other rows come from the coordinator',
    fast: ['.'],
    defaultText: '.',
  }),
  reconnectFor: option(seconds(), {
    help: 'seconds without contact with the coordinator after which the worker exits',
    fast: 600,
  }),
  giveUpAfter: option(seconds(), {
    help: 'like --reconnect-for, until the first contact',
    defaultText: '--reconnect-for',
  }),
};

const { backend, requireGpu, gpu, gpus, perGpu } = RUN_OPTIONS;
const COMPUTING = { backend, requireGpu, gpu };

/** The options of a worker process, except its name and backend. UserError for an invalid flag. */
async function joinOptionsOf({ connect, key, dataRoot, reconnectFor, giveUpAfter }: Settings<typeof JOIN>) {
  // A worker uses its folders whenever it joins; they may have been renamed by then.
  const dataRoots = dataRoot.map(checkedRoot);
  return { places: await placesOf(connect, key), dataRoots, reconnectFor, giveUpAfter };
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

/** A folder as an absolute path, or a prefix of addresses. UserError for a value that is neither. */
function checkedRoot(root: string): string {
  if (isRemote(root)) return parsePrefix(root);
  if (statusOf(root)?.isDirectory() === false)
    throw new UserError(`--data-root ${root} is a file; pass the folder that contains the data files`);
  if (!existsSync(root)) throw new UserError(`--data-root ${root} does not exist; pass an existing folder`);
  return resolve(root);
}

export const worker = defineCommand({
  command: 'worker',
  describe: 'join a coordinator and compute for it on one core or GPU',
  options: {
    ...JOIN,
    ...COMPUTING,
    http: option(text(), {
      help: 'HOST:PORT of this worker’s own metrics (the coordinator has those of all workers)',
      defaultText: 'none',
    }),
    name: option(text(), { help: 'name in logs, events and metrics', fast: '', defaultText: 'none' }),
  },
  examples: [
    ['worker --connect tcp://HOST:5555', 'one core'],
    ['worker --connect tcp://HOST:5555 --key alice.key', 'with a key of dpmesh keygen'],
  ],
  async handler(values) {
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
});

export const launch = defineCommand({
  command: 'launch',
  describe: 'start workers on the GPUs or cores of this host, and keep them running',
  options: {
    gpus: { ...gpus, defaultText: 'all; none with --cpus' },
    perGpu,
    ...COMPUTING,
    cpus: option(integer(0, 1024), { help: 'number of workers without a GPU, on one core each', fast: 0 }),
    dryRun: option(yesOrNo(), { help: 'only print which worker would be on which device', fast: false }),
    ...JOIN,
    giveUpAfter: { ...JOIN.giveUpAfter, defaultText: 'never: wait for the coordinator' },
  },
  examples: [
    ['launch --gpus all --connect tcp://HOST:5555', 'one worker for each GPU'],
    ['launch --cpus 8 --connect tcp://HOST:5555', 'eight, on one core each'],
    ['launch --gpus 0,1 --per-gpu 2 --connect tcp://HOST:5555', 'two on each of two GPUs'],
  ],
  async handler(values) {
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
});

/** Writes the keys and prints where each file belongs, but never a secret. */
export const keygen = defineCommand({
  command: 'keygen <folder>',
  describe: 'create a folder of keys for a coordinator and its workers, or add workers to it',
  options: {
    workers: option(list(), {
      help: 'comma-separated names of workers; more can be added later',
      fast: 'worker',
    }),
    json: JSON_OUTPUT,
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
    assertLocal('the folder', folder);
    makeKeyFolder(folder, names);
    // Two processes at a time could lose lines of the list.
    const release = await lockDirectory(folder, 'dpmesh keygen');
    const keys = makeKeys(folder, names);
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
  options: {
    connect: { ...JOIN.connect, help: JOIN.connect.help.replace('a relay', 'another relay') },
    bind: option(text(), {
      help: 'address for workers, tcp://HOST:PORT, * for any',
      fast: 'tcp://127.0.0.1:5556',
    }),
    key: JOIN.key,
    keys: option(text(), {
      help: 'folder of keys for its workers, made by dpmesh keygen',
      defaultText: 'none',
    }),
    insecure: option(yesOrNo(), {
      help: 'bind to other machines without keys: anyone who can reach the port can join',
      fast: false,
    }),
    name: option(text(), { help: 'name in logs, events and metrics', fast: 'relay' }),
    reconnectFor: option(seconds(), {
      help: 'seconds without contact with the coordinator after which the relay exits',
      fast: 600,
    }),
    heartbeatTimeout: option(seconds(), {
      help: 'seconds of silence after which a worker is given up',
      fast: 5,
    }),
  },
  examples: [
    ["relay --connect tcp://HOST:5555 --bind 'tcp://*:5556' --key rack1.key --keys rack1", 'for a rack'],
    ['launch --gpus all --connect tcp://127.0.0.1:5556', 'workers of a relay'],
  ],
  async handler({ connect, bind, key, keys, insecure, name, reconnectFor, heartbeatTimeout }) {
    const { checkedBind } = await import('../library/workers.ts');
    const { readServerKey, readAllowed } = await import('../proto/keys.ts');
    const { createAuthenticator } = await import('../proto/authenticator.ts');
    const { startRelay } = await import('../coordinator/relay/relay.ts');
    const { TASKS: tasks } = await import('../tasks/table.ts');
    const { exitCodeOf } = await import('../worker/trouble.ts');
    const log = (line: string) => console.error(indentContinuation(`relay: ${line}`));
    assertOpenFiles(COORDINATOR_FILES, 'a relay');
    const places = await placesOf(connect, key);
    const started = await startRelay({
      ...{ tasks, places, name, log },
      reconnectFor: 1000 * reconnectFor,
      heartbeatTimeout: 1000 * heartbeatTimeout,
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
