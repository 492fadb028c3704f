import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Options } from 'yargs';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import type { RunConfig } from '../coordinator/config.ts';
import { camel, resolveConfig } from './config.ts';
import { bindOptions, listening } from './coordinator.ts';
import { flags, runOptions } from './flags.ts';
import { sessionWithWorkers } from './local-workers.ts';
import { terminalSession } from './session.ts';
import { print } from './summary.ts';
import { output, outputOptions, workerOptions } from './train.ts';

const RUN = 'This run:';
const { default: _, ...backend } = workerOptions.backend;

export const command = 'resume <run>';
export const describe = 'go on with a run that was stopped, from its newest checkpoint';
export const builder = {
  run: { type: 'string', hidden: true },
  ...workerOptions,
  backend: {
    ...backend,
    describe: 'what computes; only that of the run gives its bits',
    defaultDescription: 'that of the run',
  },
  ...outputOptions,
  out: {
    ...outputOptions.out,
    describe: 'write to this directory, and leave the old one as it is',
    defaultDescription: 'the run’s own',
  },
  from: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'go on from this checkpoint file',
    defaultDescription: 'the newest that can be read',
  },
  bind: {
    type: 'string',
    group: RUN,
    requiresArg: true,
    describe: 'no workers here: be a coordinator at this address, tcp://HOST:PORT',
  },
  keys: bindOptions.keys,
  insecure: bindOptions.insecure,
  // Those of a new run are known here to be refused by name.
  ...Object.fromEntries(Object.keys(runOptions).map((name) => [name, { ...runOptions[name], hidden: true }])),
} as const satisfies Record<string, Options>;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const path = String(args.run);
  const { readRunFile } = await import('../coordinator/storage/run-file.ts');
  const run = readRunFile(path, dpmeshVersion());
  const file = join(path, 'run.json');
  const config = await resolveConfig({ config: file });
  await refuseChanges(args, config, file);
  const name = run.identity?.split('/')[0] ?? 'wasm';
  if (args.backend !== undefined && args.backend !== name)
    throw new UserError(
      `--backend ${args.backend} would change the result, the run is of ${run.identity}; leave it out`,
    );
  for (const flag of ['workers', 'gpus'])
    if (args.bind !== undefined && args[flag] !== undefined)
      throw new UserError(`--bind and --${flag} exclude each other: with --bind, workers are started apart`);
  for (const flag of ['keys', 'insecure'])
    if (args.bind === undefined && args[flag])
      throw new UserError(
        `--${flag} is for --bind, where workers come from elsewhere: add it, or leave --${flag} out`,
      );
  if (run.result && existsSync(join(path, 'labels.npy'))) {
    if (args.out !== undefined)
      throw new UserError(
        `${path} is finished: there is nothing to resume, and nothing was written to --out ${args.out}; leave --out away, or copy the folder`,
      );
    console.error(`${path} is finished: there is nothing to resume`);
    print(run.result, args.json === true);
    return;
  }
  const options = { ...(await output(args)), resume: { path, run, from: args.from as string | undefined } };
  if (args.bind === undefined) return sessionWithWorkers(config, options, { ...args, backend: name });
  const parts = await listening(args);
  await terminalSession(config, { ...options, ...parts });
}

/** UserError for the first flag that would give another result than the run's own config. */
async function refuseChanges(args: Record<string, unknown>, config: RunConfig, file: string): Promise<void> {
  if (args.config !== undefined)
    throw new UserError(`--config: a run goes on with its own ${file}; for another one, use train`);
  const asked = (await resolveConfig({ ...args, config: file })) as unknown as Record<string, unknown>;
  const own = config as unknown as Record<string, unknown>;
  // Those that were given first: they change the defaults of others.
  const given = (flag: string) => Number(args[camel(flag)] !== undefined);
  const inOrder = flags.map(([flag]) => flag).sort((a, b) => given(b) - given(a));
  for (const flag of inOrder) {
    const key = camel(flag);
    const [a, b] = [asked[key], own[key]].map((value) =>
      key === 'data' || (key === 'labels' && value) ? resolve(String(value)) : JSON.stringify(value),
    );
    if (a !== b)
      throw new UserError(
        `--${flag} ${args[flag]} would change the result (the run has ${own[key]}); start a new run: dpmesh train --config ${file} --${flag} ${args[flag]}`,
      );
  }
}
