import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { isLoopback } from '../base/address.ts';
import { wholeNumber } from '../base/numbers.ts';
import { UserError } from '../base/user-error.ts';
import type { RunConfig } from '../coordinator/config.ts';
import type { Server } from '../coordinator/scheduler/server.ts';
import type { Keys, SessionOptions } from '../coordinator/session.ts';
import type { WorkerSpec } from '../worker/host/supervised-worker.ts';
import type { RunOptions } from './options.ts';
import type { RunHooks } from './run.ts';

/** The workers of a session: where it listens for them, whom it lets in, and how they start and stop. */
export interface SessionWorkers extends Pick<SessionOptions, 'bind' | 'keys' | 'start' | 'sameFiles'> {
  /** To be called whether they were started or not. */
  stop(): Promise<void>;
}

type Log = (line: string) => void;

/** Starts workers on this machine; they make ready while the coordinator looks at its inputs. */
export async function localWorkers(
  config: RunConfig,
  options: RunOptions,
  log: Log,
): Promise<SessionWorkers> {
  const { backend = 'auto', gpu = 0, requireGpu = false } = options;
  const { backendFor } = await import('../worker/host/plan.ts');
  const specs = await specsOf(config, options);
  if (specs.length > config.shards)
    log(
      `dpmesh: warning: ${specs.length} workers are more than the ${config.shards} shards; ${specs.length - config.shards} will be idle (see --shards)`,
    );
  const choice = await backendFor(specs, { backend, gpu, requireGpu });
  const { NOT_SET_UP } = await import('../worker/compute/backends/choose.ts');
  const { startLocalWorkers } = await import('../worker/host/local-workers.ts');
  const workers = startLocalWorkers({ ...choice, specs, dataRoot: dirname(resolve(config.data)), log });
  return {
    ...workers,
    sameFiles: true,
    start(coordinator) {
      // Without anything set up there is nothing to explain; run.json has it anyway.
      if (backend === 'auto' && choice.why !== NOT_SET_UP) log(`backend ${choice.backend}: ${choice.why}`);
      return workers.start(coordinator);
    },
  };
}

/** A worker on each of `gpus`, or as many as `workers`. */
async function specsOf(
  { shards }: RunConfig,
  { workers, gpus, perGpu = 1 }: RunOptions,
): Promise<WorkerSpec[]> {
  const onGpus = gpus !== undefined && gpus !== 'none';
  if (onGpus && workers !== undefined)
    throw new UserError('--gpus and --workers exclude each other: workers on each GPU are --per-gpu');
  if (!onGpus && perGpu !== 1) throw new UserError(`--per-gpu ${perGpu} needs --gpus: on which`);
  if (onGpus) return (await import('../worker/host/plan.ts')).workersFor({ gpus, perGpu });
  const count = wholeNumber('--workers', workers ?? Math.min(availableParallelism(), shards), 1);
  return Array.from({ length: count }, (_, i) => ({ name: `local/${i}` }));
}

/** Workers that others start and that connect to `bind`. UserError for an address that should not be bound. */
export async function remoteWorkers(
  bind: string,
  { keys: folder, insecure }: RunOptions,
  onRereadKeys: RunHooks['onRereadKeys'],
  log: Log,
): Promise<SessionWorkers> {
  if (folder !== undefined && insecure)
    throw new UserError('--keys and --insecure exclude each other: leave one out');
  const port = Number(/:(\d+)$/.exec(bind)?.[1] ?? 0);
  const host = port <= 65535 && /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5}|\*)$/.exec(bind)?.[1];
  if (!host) throw new UserError(`--bind ${bind} must look like tcp://HOST:PORT`);
  if (!isLoopback(host) && !insecure && !folder)
    throw new UserError(
      `--bind ${bind} can be reached from other machines, without encryption or keys; make keys (dpmesh keygen, --keys), bind 127.0.0.1, or accept it with --insecure`,
    );
  if (insecure)
    log(`dpmesh: warning: --insecure: anyone who can reach ${bind} can join this run and read its data`);
  const keys = folder === undefined ? undefined : await readKeys(folder, onRereadKeys);
  return {
    bind: bind.replace('//localhost:', '//127.0.0.1:'),
    keys,
    sameFiles: false,
    start(server: Server) {
      // A worker cannot connect to the address that stands for all addresses.
      const address = server.address.replace(/\/\/(0\.0\.0\.0|\[::\]|\*):/, '//HOST:');
      log(
        `listening on ${server.address}; start workers with: dpmesh worker --connect ${address}${keys ? ' --key FILE' : ''}`,
      );
      return { ready: server.joined(1), stop: async () => {} };
    },
    stop: async () => {},
  };
}

async function readKeys(folder: string, asked: RunHooks['onRereadKeys']): Promise<Keys> {
  const { readAllowed, readServerKey } = await import('../proto/key-files.ts');
  const read = () => readAllowed(folder);
  return { secret: readServerKey(folder).secret, allowed: read(), reread: { read, asked } };
}
