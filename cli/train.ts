import type { Flags, FlagValues } from './flag.ts';
import { configOf, type ResultValues, resultFlags, runFlags, runOptionsOf } from './run-flags.ts';
import { dataPathOf } from './stdin.ts';
import { runOnTerminal } from './terminal-run.ts';
import { localWorkerFlags } from './worker-flags.ts';

const ownFlags = {
  'dry-run': {
    type: 'boolean',
    group: runFlags.out.group,
    default: false,
    describe:
      'only say what would be read and done, with rough estimates of memory and time; nothing is written',
  },
  ...localWorkerFlags,
  ...runFlags,
} as const satisfies Flags;

export const command = 'train [file]';
export const words = ['data'];
export const describe = 'cluster a file with workers on this machine';
export const builder: Flags = { ...resultFlags, ...ownFlags };
export const examples = [
  ['train x.npy', 'cluster the rows of x.npy; results in runs/x'],
  ['train x.csv --labels x.csv:kind', 'without the column kind, whose classes are used for scores'],
  ['train photos/ --encoder autoencoder', 'learn features of images, and cluster these'],
  ['train x.csv --dry-run', 'what would be read and done'],
] as const;

export async function handler(values: ResultValues & FlagValues<typeof ownFlags>): Promise<void> {
  const { data: given, ...rest } = await configOf(values, Object.keys(builder));
  const config = { ...rest, data: await dataPathOf(given) };
  const options = await runOptionsOf(values);
  if (values.dryRun) {
    const { dryRun } = await import('./dry-run.ts');
    return dryRun(config, options, values.json);
  }
  const { train } = await import('../library/train.ts');
  const { maxEpochs } = config;
  await runOnTerminal((terminal) => train({ ...config, ...options, ...terminal }), {
    ...values,
    maxEpochs,
  });
}
