import type { Options } from 'yargs';
import { UserError } from '../base/user-error.ts';
import { backendOptions } from './backend-flags.ts';
import { resolveConfig, seconds } from './config.ts';
import { runOptions } from './flags.ts';
import { httpChoice, httpOptions } from './http-flags.ts';
import { gpuOptions } from './launch.ts';
import { sessionWithWorkers } from './local-workers.ts';

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
  await sessionWithWorkers(config, await output(args), args);
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
