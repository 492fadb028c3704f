import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { backendOfIdentity } from '../base/identity.ts';
import { kebabCase } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { options, type RunConfig } from '../coordinator/config.ts';
import type { Flags, FlagValues } from './flag.ts';
import { listening } from './listen.ts';
import { bindFlags, configOf, courseFlags, courseOf, type ResultValues, resultFlags } from './run-flags.ts';
import { sessionWithWorkers } from './session-with-workers.ts';
import { print } from './summary.ts';
import { terminalSession } from './terminal-session.ts';
import { localWorkerFlags } from './worker-flags.ts';

const { default: _, ...backend } = localWorkerFlags.backend;
const { default: __, ...bind } = bindFlags.bind;

const ownFlags = {
  run: { type: 'string', hidden: true },
  ...localWorkerFlags,
  backend: {
    ...backend,
    describe: 'what computes; only that of the run gives its bits',
    defaultDescription: 'that of the run',
  },
  ...courseFlags,
  out: {
    ...courseFlags.out,
    describe: 'write to this directory, and leave the old one as it is',
    defaultDescription: 'the run’s own',
  },
  from: {
    type: 'string',
    group: courseFlags.out.group,
    requiresArg: true,
    describe: 'go on from this checkpoint file',
    defaultDescription: 'the newest that can be read',
  },
  bind: {
    ...bind,
    describe: 'no workers here: be a coordinator at this address, tcp://HOST:PORT',
  },
  keys: bindFlags.keys,
  insecure: bindFlags.insecure,
} as const satisfies Flags;

type Values = ResultValues & FlagValues<typeof ownFlags>;

export const command = 'resume <run>';
export const describe = 'go on with a run that was stopped, from its newest checkpoint';
export const builder: Flags = {
  ...ownFlags,
  // Those of a new run are known here to be refused by name.
  ...Object.fromEntries(Object.entries(resultFlags).map(([name, flag]) => [name, { ...flag, hidden: true }])),
};

export async function handler(values: Values): Promise<void> {
  const path = String(values.run);
  const { readRunFile } = await import('../coordinator/storage/run-file.ts');
  const run = readRunFile(path, dpmeshVersion());
  const file = join(path, 'run.json');
  const config = await configOf({ config: file });
  await refuseChanges(values, config, file);
  const name = backendOfIdentity(run.identity ?? 'wasm');
  if (values.backend !== undefined && values.backend !== name)
    throw new UserError(
      `--backend ${values.backend} would change the result, the run is of ${run.identity}; leave it out`,
    );
  for (const flag of ['workers', 'gpus'] as const)
    if (values.bind !== undefined && values[flag] !== undefined)
      throw new UserError(`--bind and --${flag} exclude each other: with --bind, workers are started apart`);
  for (const flag of ['keys', 'insecure'] as const)
    if (values.bind === undefined && values[flag])
      throw new UserError(
        `--${flag} is for --bind, where workers come from elsewhere: add it, or leave --${flag} out`,
      );
  if (run.result && existsSync(join(path, 'labels.npy'))) {
    if (values.out !== undefined)
      throw new UserError(
        `${path} is finished: there is nothing to resume, and nothing was written to --out ${values.out}; leave --out away, or copy the folder`,
      );
    console.error(`${path} is finished: there is nothing to resume`);
    print(run.result, values.json);
    return;
  }
  const options = { ...(await courseOf(values)), resume: { path, run, from: values.from } };
  if (values.bind === undefined) return sessionWithWorkers(config, options, { ...values, backend: name });
  const parts = await listening({ ...values, bind: values.bind });
  await terminalSession(config, { ...options, ...parts });
}

/** UserError for the first flag that would give another result than the run's own config. */
async function refuseChanges(values: Values, own: RunConfig, file: string): Promise<void> {
  if (values.config !== undefined)
    throw new UserError(`--config: a run goes on with its own ${file}; for another one, use train`);
  const asked = await configOf({ ...values, config: file });
  const names = options.map(([name]) => name);
  // Those that were given first: they change the defaults of others.
  const given = names.filter((name) => values[name] !== undefined);
  for (const name of new Set([...given, ...names])) {
    const [a, b] = [asked[name], own[name]].map((value) =>
      name === 'data' || (name === 'labels' && value) ? resolve(String(value)) : JSON.stringify(value),
    );
    const flag = `--${kebabCase(name)} ${values[name]}`;
    if (a !== b)
      throw new UserError(
        `${flag} would change the result (the run has ${own[name]}); start a new run: dpmesh train --config ${file} ${flag}`,
      );
  }
}
