import { existsSync } from 'node:fs';
import type { InferredOptionTypes, Options } from 'yargs';
import type { ProcessOptions } from '../worker/process.ts';
import { type BackendChoice, backendOf, backendOptions } from './backend-flags.ts';

export const command = 'worker';
export const describe = 'join a coordinator and compute for it, on one core or GPU';
export const builder = {
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
  ...backendOptions,
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
  http: {
    type: 'string',
    requiresArg: true,
    describe: 'HOST:PORT of this worker’s own metrics (the coordinator’s have those of all workers)',
    defaultDescription: 'none',
  },
  name: {
    type: 'string',
    default: '',
    defaultDescription: 'none',
    describe: 'a name for logs, events and metrics',
    requiresArg: true,
  },
} as const satisfies Record<string, Options>;

export async function handler(args: InferredOptionTypes<typeof builder>): Promise<void> {
  const options = {
    ...(await processOptions(args)),
    ...(await backendOf(args)),
    follows: args.backend === 'auto' && !args['require-gpu'],
  };
  const http =
    args.http === undefined
      ? undefined
      : {
          ...(await import('../base/http.ts')).parseBound('--http', args.http),
          version: (await import('../base/version.ts')).dpmeshVersion(),
        };
  const { serve } = await import('../worker/process.ts');
  await serve({ ...options, name: args.name, quiet: false, http });
}

/** What `worker` and `launch` tell a worker's process, but for the backend. UserError for a flag that cannot be. */
export async function processOptions(
  args: Omit<InferredOptionTypes<typeof builder>, 'name' | 'http'>,
): Promise<Omit<ProcessOptions, 'name' | 'quiet' | keyof BackendChoice>> {
  const { UserError } = await import('../base/user-error.ts');
  const { seconds } = await import('./config.ts');
  const port = Number(/:(\d+)$/.exec(args.connect)?.[1] ?? 0);
  if (port > 65535 || !/^tcp:\/\/[^\s/]+:\d+$/.test(args.connect))
    throw new UserError(`--connect ${args.connect} must look like tcp://HOST:PORT`);
  const dataRoot = args['data-root'];
  if (!existsSync(dataRoot)) throw new UserError(`--data-root ${dataRoot} does not exist`);
  const key =
    args.key === undefined ? undefined : (await import('../proto/key-files.ts')).readWorkerKey(args.key);
  return {
    connect: args.connect,
    key,
    dataRoot,
    reconnectFor: seconds(args, 'reconnect-for'),
    giveUpAfter: args['give-up-after'] === undefined ? undefined : seconds(args, 'give-up-after'),
  };
}
