import type { Flags, FlagValues } from './flag.ts';
import { onSignal } from './signals.ts';
import { gpuFlags, joinFlags, joinOptionsOf } from './worker-flags.ts';

export const command = 'launch';
export const describe = 'start workers on the GPUs or cores of this host, and keep them running';
export const builder = {
  gpus: { ...gpuFlags.gpus, defaultDescription: 'all; none with --cpus' },
  'per-gpu': gpuFlags['per-gpu'],
  cpus: {
    type: 'number',
    requiresArg: true,
    default: 0,
    describe: 'number of workers without a GPU, on one core each',
  },
  'dry-run': {
    type: 'boolean',
    default: false,
    describe: 'only print which worker would be on which device',
  },
  ...joinFlags,
  key: { ...joinFlags.key, describe: 'key file of these workers, made by dpmesh keygen' },
  'give-up-after': {
    ...joinFlags['give-up-after'],
    defaultDescription: 'never: wait for the coordinator',
  },
} as const satisfies Flags;
export const examples = [
  ['launch --gpus all --connect tcp://HOST:5555', 'one worker for each GPU'],
  ['launch --cpus 8 --connect tcp://HOST:5555', 'eight, on one core each'],
  ['launch --gpus 0,1 --per-gpu 2 --connect tcp://HOST:5555', 'two on each of two GPUs'],
] as const;

export async function handler(values: FlagValues<typeof builder>): Promise<void> {
  const shared = await joinOptionsOf(values);
  const { backendFor, workersFor } = await import('../worker/host/plan.ts');
  const specs = await workersFor(values);
  if (values.dryRun) {
    for (const { name, env } of specs)
      console.log(`${env?.CUDA_VISIBLE_DEVICES === '-1' ? 'cpu' : env?.CUDA_VISIBLE_DEVICES} -> ${name}`);
    return;
  }
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
