import type { Flags, FlagValues } from './flag.ts';
import { joinFlags, joinOptionsOf } from './worker-flags.ts';

export const command = 'worker';
export const describe = 'join a coordinator and compute for it on one core or GPU';
export const builder = {
  ...joinFlags,
  http: {
    type: 'string',
    requiresArg: true,
    describe: 'HOST:PORT of this worker’s own metrics (the coordinator has those of all workers)',
    defaultDescription: 'none',
  },
  name: {
    type: 'string',
    default: '',
    defaultDescription: 'none',
    describe: 'name in logs, events and metrics',
    requiresArg: true,
  },
} as const satisfies Flags;
export const examples = [
  ['worker --connect tcp://HOST:5555', 'one core'],
  ['worker --connect tcp://HOST:5555 --key alice.key', 'with a key of dpmesh keygen'],
] as const;

export async function handler(values: FlagValues<typeof builder>): Promise<void> {
  const { backendOf } = await import('../worker/host/plan.ts');
  const options = {
    ...(await joinOptionsOf(values)),
    ...(await backendOf(values)),
    follows: values.backend === 'auto' && !values.requireGpu,
  };
  const http =
    values.http === undefined
      ? undefined
      : {
          ...(await import('../base/address.ts')).parseBindAddress('--http', values.http),
          version: (await import('../base/version.ts')).dpmeshVersion(),
        };
  const { serve } = await import('../worker/process.ts');
  await serve({ ...options, name: values.name, quiet: false, http });
}
