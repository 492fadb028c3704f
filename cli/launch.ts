import type { Flags, FlagValues } from './flag.ts';
import { onSignal } from './signals.ts';
import { gpuFlags, joinFlags, joiningOf } from './worker-flags.ts';

export const command = 'launch';
export const describe =
  'start a worker on each GPU (or core) of this host for a coordinator, and keep them alive';
export const builder = {
  gpus: { ...gpuFlags.gpus, defaultDescription: 'all; none with --cpus' },
  'per-gpu': gpuFlags['per-gpu'],
  cpus: { type: 'number', requiresArg: true, default: 0, describe: 'workers without a GPU, one core each' },
  ...joinFlags,
  key: { ...joinFlags.key, describe: 'key file of these workers, from dpmesh keygen' },
  'give-up-after': {
    ...joinFlags['give-up-after'],
    defaultDescription: 'never: they wait for the coordinator',
  },
} as const satisfies Flags;

export async function handler(values: FlagValues<typeof builder>): Promise<void> {
  const shared = await joiningOf(values);
  const { backendFor, workersFor } = await import('../worker/host/plan.ts');
  const specs = await workersFor(values);
  const backend = await backendFor(specs, values);
  const { launch } = await import('../worker/host/launch.ts');
  process.exitCode = await launch(
    specs,
    {
      ...shared,
      ...backend,
      follows: values.backend === 'auto' && !backend.requireGpu,
      giveUpAfter: shared.giveUpAfter ?? null,
    },
    onSignal,
  );
}
