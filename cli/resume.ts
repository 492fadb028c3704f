import { join } from 'node:path';
import { kebabCase } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { dpmeshVersion } from '../base/version.ts';
import { options, type RunConfig } from '../coordinator/config.ts';
import type { Flags, FlagValues } from './flag.ts';
import { bindFlags, configOf, type ResultValues, resultFlags, runFlags, runOptionsOf } from './run-flags.ts';
import { dataPathOf } from './stdin.ts';
import { runOnTerminal } from './terminal-run.ts';
import { localWorkerFlags } from './worker-flags.ts';

const { default: _, ...backend } = localWorkerFlags.backend;
const { default: __, ...bind } = bindFlags.bind;

/** Flags of the commands that continue a run. */
export const continuingFlags = {
  run: { type: 'string', hidden: true },
  ...localWorkerFlags,
  backend: {
    ...backend,
    describe: 'compute backend; any other than that of the run is rejected',
    defaultDescription: 'that of the run',
  },
  ...runFlags,
  out: {
    ...runFlags.out,
    describe: 'write to this directory and leave the old one unchanged',
    defaultDescription: 'that of the run',
  },
  data: {
    type: 'string',
    group: runFlags.out.group,
    requiresArg: true,
    describe: 'the same rows at another path',
    defaultDescription: 'that of the run',
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
    describe: 'resume from this checkpoint file',
    defaultDescription: 'the newest valid one',
  },
  'max-epochs': {
    type: 'number',
    group: runFlags.out.group,
    requiresArg: true,
    describe:
      'go on to another limit than the run’s, also if it is finished: what a run with this limit gives',
    defaultDescription: 'that of the run',
  },
  bind: {
    ...bind,
    describe: 'start no workers; listen for workers at this address, tcp://HOST:PORT',
  },
  keys: bindFlags.keys,
  insecure: bindFlags.insecure,
} as const satisfies Flags;

type Values = ResultValues & FlagValues<typeof continuingFlags>;

export const command = 'resume <run>';
export const describe = 'continue a run that was stopped, from its newest checkpoint';
export const builder: Flags = {
  // Flags of a new run are accepted here, so that `assertNoChanges` can reject them with a better message.
  ...Object.fromEntries(Object.entries(resultFlags).map(([name, flag]) => [name, { ...flag, hidden: true }])),
  ...continuingFlags,
};
export const examples = [
  ['resume runs/x', 'continue, with any number of workers: the same bytes'],
  ['resume runs/x --data /elsewhere/x.npy', 'the data have moved'],
  ['resume runs/x --out runs/again', 'leave runs/x as it is'],
] as const;
/**
 * Files may have moved: the fingerprint tells whether the rows are the same, and labels change only the scores. A limit only decides
 * where training ends.
 */
const MAY_CHANGE = ['data', 'labels', 'maxEpochs'];

export const handler = (values: Values): Promise<void> => continueRun(values, { finish: false });

/** Continues a run in this terminal; `finish`: it only gets its results. */
export async function continueRun(values: Values, { finish }: { finish: boolean }): Promise<void> {
  const run = String(values.run);
  const { readRunFile } = await import('../coordinator/storage/run-file.ts');
  readRunFile(run, dpmeshVersion(), { mayBeEarlier: true });
  const file = join(run, 'run.json');
  const config = await configOf({ config: file });
  await assertNoChanges(values, config, file);
  const options = await runOptionsOf(values);
  const { resume } = await import('../library/resume.ts');
  const { from, labels, maxEpochs } = values;
  const data = values.data === undefined ? undefined : await dataPathOf(values.data);
  const how = { run, from, data, labels, maxEpochs, finish };
  await runOnTerminal((terminal) => resume({ ...how, ...options, ...terminal }), {
    ...values,
    maxEpochs: maxEpochs ?? config.maxEpochs,
  });
}

/** Throws a UserError for the first flag that would change the result. */
async function assertNoChanges(values: Values, own: RunConfig, file: string): Promise<void> {
  if (values.config !== undefined)
    throw new UserError(
      `--config cannot be used: a run resumes with its own ${file}; for another config, start a new run with dpmesh train`,
    );
  const requested = await configOf({ ...values, config: file });
  const names = options.map(([name]) => name).filter((name) => !MAY_CHANGE.includes(name));
  // Flags that were given come first, because they change the defaults of others (--schedule).
  const given = names.filter((name) => values[name] !== undefined);
  for (const name of new Set([...given, ...names])) {
    const [a, b] = [requested[name], own[name]].map((value) => JSON.stringify(value));
    const flag = `--${kebabCase(name)} ${values[name]}`;
    if (a !== b)
      throw new UserError(
        `${flag} would change the result (the run has ${own[name]}); start a new run: dpmesh train --config ${file} ${flag}`,
      );
  }
}
