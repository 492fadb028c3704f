import { join } from 'node:path';
import { kebabCase } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { options, type RunConfig } from '../coordinator/config.ts';
import type { Flags, FlagValues } from './flag.ts';
import { bindFlags, configOf, type ResultValues, resultFlags, runFlags, runOptionsOf } from './run-flags.ts';
import { runOnTerminal } from './terminal-run.ts';
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
  ...runFlags,
  out: {
    ...runFlags.out,
    describe: 'write to this directory, and leave the old one as it is',
    defaultDescription: 'the run’s own',
  },
  data: {
    type: 'string',
    group: runFlags.out.group,
    requiresArg: true,
    describe: 'the same rows, where they are now',
    defaultDescription: 'where they were',
  },
  labels: {
    type: 'string',
    group: runFlags.out.group,
    requiresArg: true,
    describe: 'true classes to evaluate the result with',
    defaultDescription: 'those of the run',
  },
  from: {
    type: 'string',
    group: runFlags.out.group,
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
  // Those of a new run are known here to be refused by name.
  ...Object.fromEntries(Object.entries(resultFlags).map(([name, flag]) => [name, { ...flag, hidden: true }])),
  ...ownFlags,
};
/** They may be elsewhere now. That the rows are the same their fingerprint tells, and classes change no cluster. */
const MAY_MOVE = ['data', 'labels'];

export async function handler(values: Values): Promise<void> {
  const run = String(values.run);
  const { readRunFile } = await import('../coordinator/storage/run-file.ts');
  readRunFile(run, dpmeshVersion());
  const file = join(run, 'run.json');
  const config = await configOf({ config: file });
  await refuseChanges(values, config, file);
  const options = await runOptionsOf(values);
  const { resume } = await import('../library/resume.ts');
  const { from, data, labels } = values;
  const { maxEpochs } = config;
  await runOnTerminal((terminal) => resume({ run, from, data, labels, ...options, ...terminal }), {
    ...values,
    maxEpochs,
  });
}

/** UserError for the first flag that would give another result than the run's own config. */
async function refuseChanges(values: Values, own: RunConfig, file: string): Promise<void> {
  if (values.config !== undefined)
    throw new UserError(`--config: a run goes on with its own ${file}; for another one, use train`);
  const asked = await configOf({ ...values, config: file });
  const names = options.map(([name]) => name).filter((name) => !MAY_MOVE.includes(name));
  // Those that were given first: they change the defaults of others.
  const given = names.filter((name) => values[name] !== undefined);
  for (const name of new Set([...given, ...names])) {
    const [a, b] = [asked[name], own[name]].map((value) => JSON.stringify(value));
    const flag = `--${kebabCase(name)} ${values[name]}`;
    if (a !== b)
      throw new UserError(
        `${flag} would change the result (the run has ${own[name]}); start a new run: dpmesh train --config ${file} ${flag}`,
      );
  }
}
