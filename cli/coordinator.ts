import type { Flags, FlagValues } from './flag.ts';
import { bindFlags, configOf, type ResultValues, resultFlags, runFlags, runOptionsOf } from './run-flags.ts';
import { dataPathOf } from './stdin.ts';
import { runOnTerminal } from './terminal-run.ts';

const ownFlags = { ...bindFlags, ...runFlags } as const satisfies Flags;

export const command = 'coordinator [file]';
export const words = ['data'];
export const describe = 'cluster a file with workers that join from this or other machines';
export const builder: Flags = { ...resultFlags, ...ownFlags };
export const examples = [
  ['coordinator x.npy', 'wait for workers on this machine'],
  ["coordinator x.npy --bind 'tcp://*:5555' --keys keys", 'for workers elsewhere that have a key (keygen)'],
  ['worker --connect tcp://HOST:5555 --key alice.key', 'there, or: launch --gpus all --connect …'],
] as const;

export async function handler(values: ResultValues & FlagValues<typeof ownFlags>): Promise<void> {
  const config = await configOf(values, Object.keys(builder));
  const options = await runOptionsOf(values);
  const { train } = await import('../library/train.ts');
  const { maxEpochs } = config;
  const data = await dataPathOf(config.data);
  await runOnTerminal((terminal) => train({ ...config, data, ...options, ...terminal }), {
    ...values,
    maxEpochs,
  });
}
