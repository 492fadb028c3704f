import { availableParallelism } from 'node:os';
import { dirname, parse, resolve } from 'node:path';
import { isLoopback } from '../base/address.ts';
import { assertOpenFiles, COORDINATOR_FILES } from '../base/limits.ts';
import { UserError } from '../base/user-error.ts';
import type { Server } from '../coordinator/rounds/server.ts';
import { mostShards } from '../model/layout.ts';
import type { RunConfig } from '../run/config.ts';
import { settingsOf } from '../run/option.ts';
import { RUN_OPTIONS } from '../run/session-options.ts';
import type { WorkerSpec } from '../worker/host/supervisor.ts';
import type { CoordinatorKeys, SessionOptions } from './open-session.ts';
import type { RunOptions } from './options.ts';
import type { RunHooks } from './run.ts';

/** Files and sockets that each worker adds to those of the coordinator that starts it. */
const WORKER_FILES = 4;

type Log = (line: string) => void;

/** Of a session, what depends on where its workers are. `stop` must be called, even if `start` was not. */
export type RunWorkers = Pick<SessionOptions, 'bind' | 'keys' | 'sameFiles' | 'start' | 'trainerFor'> & {
  stop(): Promise<void>;
};

/** Starts workers on this machine. They initialize while the coordinator opens its inputs. `stop` must be called, even if `start` was not. */
async function localWorkers(config: RunConfig, options: RunOptions, log: Log): Promise<RunWorkers> {
  const { specs, backend: choice } = await plannedWorkers(config, options);
  assertOpenFiles(COORDINATOR_FILES + WORKER_FILES * specs.length, 'a run with its workers');
  const { assertAddressSpaceFor, NOT_SET_UP } = await import('../worker/compute/backends/load.ts');
  assertAddressSpaceFor(choice.backend);
  const { startLocalWorkers } = await import('../worker/host/local-workers.ts');
  // They read an .npy itself, and of other data the decoded copy.
  const { isRemote } = await import('../data/remote/address.ts');
  const itself = isRemote(config.data) ? config.data : dirname(resolve(config.data));
  const isArray = !isRemote(config.data) && /\.npy$/i.test(config.data);
  const dataRoots = isArray ? [itself] : [itself, (await import('../data/cache.ts')).cacheFolder()];
  // Where this process writes, its workers may.
  if (config.labelsOut === 'shards') dataRoots.push(parse(resolve(options.out ?? '.')).root);
  const workers = startLocalWorkers({ ...choice, specs, dataRoots, log });
  return {
    ...workers,
    sameFiles: true,
    start(coordinator: Server) {
      // If no other backend is set up, the choice needs no explanation; run.json records it anyway.
      if ((options.backend ?? 'auto') === 'auto' && choice.why !== NOT_SET_UP)
        log(`backend ${choice.backend}: ${choice.why}`);
      return workers.start(coordinator);
    },
  };
}

/** Starts a run's workers; tests have them in their own process instead. */
export const starting = { localWorkers };

/** The workers that a run gets on this machine, and their backend; none is started. UserError as for `localWorkers`. */
export async function plannedWorkers(config: RunConfig, options: RunOptions) {
  const { backend, gpu, requireGpu } = settingsOf(RUN_OPTIONS, options);
  const { backendFor } = await import('../worker/host/plan.ts');
  const specs = await workerSpecs(config, options);
  return { specs, backend: await backendFor(specs, { backend, gpu, requireGpu }) };
}

/** Workers on each of `gpus`, or `workers` of them on CPU cores. UserError for options that exclude each other. */
async function workerSpecs(
  { shards }: RunConfig,
  { workers, gpus, perGpu = 1 }: RunOptions,
): Promise<WorkerSpec[]> {
  const onGpus = gpus !== undefined && gpus !== 'none';
  if (onGpus && workers !== undefined)
    throw new UserError(
      '--gpus and --workers exclude each other; set the number of workers on each GPU with --per-gpu',
    );
  if (!onGpus && perGpu !== 1)
    throw new UserError(`--per-gpu ${perGpu} needs --gpus: add it, or leave --per-gpu out`);
  if (onGpus) return (await import('../worker/host/plan.ts')).workersFor({ gpus, perGpu });
  const count = workerCount(workers ?? -1, mostShards(shards));
  return Array.from({ length: count }, (_, i) => ({ name: `local/${i}` }));
}

/** As scikit-learn's n_jobs: −1 is one for each core, −2 leaves a core out; of these, no more than there are shards. */
function workerCount(workers: number, shards: number): number {
  if (workers > 0) return workers;
  return Math.max(1, Math.min(availableParallelism() + 1 + workers, shards));
}

/** Workers that are started elsewhere and connect to `bind`. `stop` must be called, even if `start` was not. UserError for an invalid or unprotected address. */
export async function remoteWorkers(
  bind: string,
  { shards }: Pick<RunConfig, 'shards'>,
  { keys: folder, insecure }: RunOptions,
  onRereadKeys: RunHooks['onRereadKeys'],
  log: Log,
) {
  const checked = checkedBind(bind, { keys: folder, insecure }, (line) => log(`dpmesh: warning: ${line}`));
  assertOpenFiles(COORDINATOR_FILES + mostShards(shards), 'a coordinator with a worker for each shard');
  const keys = folder === undefined ? undefined : await readKeys(folder, onRereadKeys);
  return {
    bind: checked,
    keys,
    sameFiles: false,
    start(server: Server) {
      // A worker cannot connect to a wildcard address.
      const address = server.address.replace(/\/\/(0\.0\.0\.0|\[::\]|\*):/, '//HOST:');
      log(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${address}${keys ? ' --key FILE' : ''}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
    stop: async () => {},
  };
}

/** An address to which workers connect. UserError if it is none, or open to other machines without keys; with `insecure` only a warning. */
export function checkedBind(
  bind: string,
  { keys, insecure }: { keys?: string | undefined; insecure?: boolean | undefined },
  warn: Log,
): string {
  if (keys !== undefined && insecure)
    throw new UserError('--keys and --insecure exclude each other; leave one out');
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!isLoopback(host) && !insecure && !keys)
    throw new UserError(
      `--bind ${bind} is open to other machines, without encryption or keys; create keys with dpmesh keygen and pass --keys, bind 127.0.0.1, or accept the risk with --insecure`,
    );
  if (insecure) warn(`--insecure: anyone who can reach ${bind} can join this run and read its data`);
  return bind.replace('//localhost:', '//127.0.0.1:');
}

async function readKeys(folder: string, onRequest: RunHooks['onRereadKeys']): Promise<CoordinatorKeys> {
  const { readAllowed, readServerKey } = await import('../proto/keys.ts');
  const read = () => readAllowed(folder);
  return { secret: readServerKey(folder).secret, allowed: read(), reload: { read, onRequest } };
}
