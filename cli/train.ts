import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Options } from 'yargs';
import type { RunConfig } from '../coordinator/config.ts';
import type { Server } from '../coordinator/server.ts';
import { UserError } from '../data/user-error.ts';
import { backendOptions } from './backend-flags.ts';
import { resolveConfig, seconds } from './config.ts';
import { runOptions } from './flags.ts';
import { httpChoice, httpOptions } from './http-flags.ts';
import { backendFor, gpuOptions, workersFor } from './launch.ts';

const RUN = 'This run:';
/** By somebody else: a worker's own faults have other signals. */
const KILLS = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);

/** Flags of how a run goes, not of what comes out. */
export const outputOptions = {
  out: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'run directory',
    defaultDescription: 'runs/<data>',
  },
  force: { type: 'boolean', group: RUN, default: false, describe: 'overwrite the run directory' },
  json: { type: 'boolean', group: RUN, default: false, describe: 'print the result as one JSON object' },
  report: {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'pictures of the run and report.html in its folder report; --no-report: none',
  },
  'heartbeat-timeout': {
    type: 'number',
    group: RUN,
    default: 5,
    requiresArg: true,
    describe: 'seconds of silence after which a worker’s shards are dealt to others',
  },
  'checkpoint-every': {
    type: 'number',
    group: RUN,
    default: 30,
    requiresArg: true,
    describe: 'seconds between checkpoints at the most; 0: one an epoch. Splits and merges always have one',
  },
  mixed: {
    type: 'boolean',
    group: RUN,
    default: false,
    describe: 'let in workers of any numeric identity: bits then depend on who computes what',
  },
  'shared-files': {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'workers read the data file themselves where they can; --no-shared-files: never',
  },
  ...httpOptions,
} as const satisfies Record<string, Options>;

/** The same, and for workers on this machine. */
export const workerOptions = {
  workers: {
    type: 'number',
    alias: 'n-jobs',
    group: RUN,
    requiresArg: true,
    describe: 'worker processes; changes the time, never the result',
    defaultDescription: 'one a core, at most --shards',
  },
  gpus: {
    ...gpuOptions.gpus,
    group: RUN,
    defaultDescription: 'none: --workers',
  },
  'per-gpu': { ...gpuOptions['per-gpu'], group: RUN },
  ...backendOptions,
} as const satisfies Record<string, Options>;

export const command = 'train';
export const describe = 'cluster a file: coordinator and workers on this machine';
export const builder = {
  ...runOptions,
  ...workerOptions,
  ...outputOptions,
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const config = await resolveConfig(args, Object.keys(builder));
  const { session } = await import('./session.ts');
  await session(config, { ...(await output(args)), ...(await localWorkers(config, args)) });
}

/** What the flags say about the run's course and output. */
export async function output(args: Record<string, unknown>) {
  const every = args.checkpointEvery as number;
  if (!(every >= 0 && every < Infinity))
    throw new UserError(`--checkpoint-every ${every} must be a number of seconds, at least 0`);
  return {
    out: args.out as string | undefined,
    force: args.force === true,
    configFile: args.config as string | undefined,
    json: args.json === true,
    report: args.report !== false,
    mixed: args.mixed === true,
    sharedFiles: args.sharedFiles !== false,
    checkpointEvery: every,
    heartbeatTimeout: seconds(args, 'heartbeat-timeout'),
    ...(await httpChoice(args)),
  };
}

/** A coordinator that starts its workers itself. */
export async function localWorkers(config: RunConfig, args: Record<string, unknown>) {
  const gpus = args.gpus === 'none' ? undefined : args.gpus;
  if (gpus !== undefined && args.workers !== undefined)
    throw new UserError('--gpus and --workers exclude each other: workers on each GPU are --per-gpu');
  if (gpus === undefined && args.perGpu !== 1)
    throw new UserError(`--per-gpu ${args.perGpu} needs --gpus: on which`);
  const specs = gpus === undefined ? cores(config, args) : await workersFor(args);
  const count = specs.length;
  if (count > config.shards)
    console.error(
      `dpmesh: warning: ${count} workers are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  const { backend, why, gpu, requireGpu } = await backendFor(specs, args);
  const { NOT_SET_UP } = await import('../worker/backends/choose.ts');
  const { superviseWorkers } = await import('../worker/supervise.ts');
  const { newKeyPair } = await import('../proto/keys.ts');
  // For this run only, and told to nobody but its workers: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  return {
    bind: 'tcp://127.0.0.1:*',
    keys: { secret: own.secret, allowed: new Map([[workers.public, 'local']]) },
    start(server: Server) {
      // The plain case needs no words; run.json has them.
      if (args.backend === 'auto' && why !== NOT_SET_UP) console.error(`backend ${backend}: ${why}`);
      let expected = count;
      let fewer = () => {};
      const supervisor = superviseWorkers(
        specs,
        {
          connect: server.address,
          key: { ...workers, server: own.public },
          ...{ backend, why, gpu, requireGpu },
          dataRoot: dirname(resolve(config.data)),
          // The pipe to it tells a worker when the coordinator is gone.
          reconnectFor: 1e9,
          quiet: true,
          child: true,
        },
        {
          ended(pid, _, signal, how) {
            const hadJoined = server.ended(pid, how);
            // A worker that was killed at work has done nothing wrong.
            if (signal) return hadJoined ? 'sound' : KILLS.has(signal) ? 'killed' : 'failed';
            return 'failed';
          },
          gaveUp(name, error) {
            expected--;
            fewer();
            if (expected) console.error(`dpmesh: warning: gave up on worker ${name}: ${error.message}`);
          },
        },
      );
      const failed = supervisor.over.then(({ error }): never => {
        throw error;
      });
      failed.catch(() => {});
      const ready = new Promise<void>((ready) => {
        fewer = () => void (expected && server.joined(expected).then(ready));
        fewer();
      });
      return { failed, ready, stop: supervisor.stop };
    },
  };
}

/** One worker a core, or as many as were asked for. */
function cores(config: RunConfig, args: Record<string, unknown>) {
  const count = (args.workers as number | undefined) ?? Math.min(availableParallelism(), config.shards);
  if (!(Number.isInteger(count) && count >= 1))
    throw new UserError(`--workers ${count} must be a whole number, at least 1`);
  return Array.from({ length: count }, (_, i) => ({ name: `local/${i}` }));
}
