import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Options } from 'yargs';
import type { RunConfig } from '../coordinator/config.ts';
import type { Server } from '../coordinator/server.ts';
import { UserError } from '../data/user-error.ts';
import { backendOf, backendOptions } from './backend-flags.ts';
import { resolveConfig, seconds } from './config.ts';
import { runOptions } from './flags.ts';

const RUN = 'This run:';

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
  const config = await resolveConfig(args);
  const { session } = await import('./session.ts');
  await session(config, { ...output(args), ...(await localWorkers(config, args)) });
}

/** What the flags say about the run's course and output. */
export function output(args: Record<string, unknown>) {
  const every = args.checkpointEvery as number;
  if (!(every >= 0 && every < Infinity))
    throw new UserError(`--checkpoint-every ${every} must be a number of seconds, at least 0`);
  return {
    out: args.out as string | undefined,
    force: args.force === true,
    json: args.json === true,
    mixed: args.mixed === true,
    sharedFiles: args.sharedFiles !== false,
    checkpointEvery: every,
    heartbeatTimeout: seconds(args, 'heartbeat-timeout'),
  };
}

/** A coordinator that starts its workers itself. */
export async function localWorkers(config: RunConfig, args: Record<string, unknown>) {
  const count = (args.workers as number | undefined) ?? Math.min(availableParallelism(), config.shards);
  if (!(Number.isInteger(count) && count >= 1))
    throw new UserError(`--workers ${count} must be a whole number, at least 1`);
  if (count > config.shards)
    console.error(
      `dpmesh: warning: --workers ${count} are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  const { backend, why, gpu, requireGpu } = await backendOf(args);
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
      const supervisor = superviseWorkers(
        count,
        {
          connect: server.address,
          key: { ...workers, server: own.public },
          ...{ backend, why, gpu, requireGpu },
          dataRoot: dirname(resolve(config.data)),
          reconnectFor: 600,
          quiet: true,
          child: true,
        },
        server.ended,
      );
      return { ...supervisor, ready: server.joined(count) };
    },
  };
}
