import type { Flags, FlagValues } from './flag.ts';
import { bindFlags, configOf, type ResultValues, resultFlags, runFlags, runOptionsOf } from './run-flags.ts';
import { runOnTerminal } from './terminal-run.ts';

const ownFlags = { ...bindFlags, ...runFlags } as const satisfies Flags;

export const command = 'coordinator';
export const describe = 'cluster a file with workers that join from this or other machines';
export const builder: Flags = { ...resultFlags, ...ownFlags };

export async function handler(values: ResultValues & FlagValues<typeof ownFlags>): Promise<void> {
  const config = await configOf(values, Object.keys(builder));
  const options = await runOptionsOf(values);
  const { train } = await import('../library/train.ts');
  const { maxEpochs } = config;
  await runOnTerminal((terminal) => train({ ...config, ...options, ...terminal }), { ...values, maxEpochs });
}
