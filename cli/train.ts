import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Options } from 'yargs';
import { UserError } from '../data/user-error.ts';
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
  'shared-files': {
    type: 'boolean',
    group: RUN,
    default: true,
    describe: 'workers read the data file themselves where they can; --no-shared-files: never',
  },
} as const satisfies Record<string, Options>;

export const command = 'train';
export const describe = 'cluster a file: coordinator and workers on this machine';
export const builder = {
  ...runOptions,
  workers: {
    type: 'number',
    alias: 'n-jobs',
    group: RUN,
    requiresArg: true,
    describe: 'worker processes; changes the time, never the result',
    defaultDescription: 'one a core, at most --shards',
  },
  backend: {
    type: 'string',
    group: RUN,
    default: 'wasm',
    choices: ['wasm', 'cpu'],
    describe: 'what computes',
  },
  ...outputOptions,
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const config = await resolveConfig(args);
  const count = (args.workers as number | undefined) ?? Math.min(availableParallelism(), config.shards);
  if (!(Number.isInteger(count) && count >= 1))
    throw new UserError(`--workers ${count} must be a whole number, at least 1`);
  const { session } = await import('./session.ts');
  const { superviseWorkers } = await import('../worker/supervise.ts');
  const { newKeyPair } = await import('../proto/keys.ts');
  // For this run only, and told to nobody but its workers: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  if (count > config.shards)
    console.error(
      `dpmesh: warning: --workers ${count} are more than the ${config.shards} shards they share; ${count - config.shards} will be idle (see --shards)`,
    );
  await session(config, {
    bind: 'tcp://127.0.0.1:*',
    out: args.out as string | undefined,
    force: args.force === true,
    json: args.json === true,
    keys: { secret: own.secret, allowed: new Map([[workers.public, 'local']]) },
    sharedFiles: args.sharedFiles !== false,
    heartbeatTimeout: seconds(args, 'heartbeat-timeout'),
    start(server) {
      const supervisor = superviseWorkers(
        count,
        {
          connect: server.address,
          key: { ...workers, server: own.public },
          backend: String(args.backend),
          dataRoot: dirname(resolve(config.data)),
          reconnectFor: 600,
          quiet: true,
          child: true,
        },
        server.ended,
      );
      return { ...supervisor, ready: server.joined(count) };
    },
  });
}
