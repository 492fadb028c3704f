import type { Flags, FlagValues } from './flag.ts';
import { configOf, courseFlags, courseOf, type ResultValues, resultFlags } from './run-flags.ts';
import { sessionWithWorkers } from './session-with-workers.ts';
import { localWorkerFlags } from './worker-flags.ts';

const ownFlags = { ...localWorkerFlags, ...courseFlags } as const satisfies Flags;

export const command = 'train';
export const describe = 'cluster a file: coordinator and workers on this machine';
export const builder: Flags = { ...resultFlags, ...ownFlags };

export async function handler(values: ResultValues & FlagValues<typeof ownFlags>): Promise<void> {
  const config = await configOf(values, Object.keys(builder));
  await sessionWithWorkers(config, await courseOf(values), values);
}
