import type { Flags, FlagValues } from './flag.ts';
import { listening } from './listen.ts';
import { bindFlags, configOf, courseFlags, courseOf, type ResultValues, resultFlags } from './run-flags.ts';
import { terminalSession } from './terminal-session.ts';

const ownFlags = { ...bindFlags, ...courseFlags } as const satisfies Flags;

export const command = 'coordinator';
export const describe = 'run a coordinator alone; workers join it from this and other machines';
export const builder: Flags = { ...resultFlags, ...ownFlags };

export async function handler(values: ResultValues & FlagValues<typeof ownFlags>): Promise<void> {
  const config = await configOf(values, Object.keys(builder));
  await terminalSession(config, { ...(await courseOf(values)), ...(await listening(values)) });
}
