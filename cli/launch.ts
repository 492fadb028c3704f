import type { InferredOptionTypes, Options } from 'yargs';
import type { WorkerSpec } from '../worker/host/supervised-worker.ts';
import { type BackendChoice, backendOf } from './backend-flags.ts';
import { onSignal } from './signals.ts';
import * as worker from './worker.ts';

/** Which workers a host gets: of `launch`, and of `train`. */
export const gpuOptions = {
  gpus: {
    type: 'string',
    requiresArg: true,
    describe: 'one worker for each of these GPUs: all, none, or numbers as nvidia-smi counts (0,2)',
  },
  'per-gpu': { type: 'number', requiresArg: true, default: 1, describe: 'workers on each GPU' },
} as const satisfies Record<string, Options>;

export const command = 'launch';
export const describe =
  'start a worker on each GPU (or core) of this host for a coordinator, and keep them alive';
export const builder = {
  gpus: { ...gpuOptions.gpus, defaultDescription: 'all; none with --cpus' },
  'per-gpu': gpuOptions['per-gpu'],
  cpus: { type: 'number', requiresArg: true, default: 0, describe: 'workers without a GPU, one core each' },
  connect: worker.builder.connect,
  key: { ...worker.builder.key, describe: 'key file of these workers, from dpmesh keygen' },
  backend: worker.builder.backend,
  'require-gpu': worker.builder['require-gpu'],
  gpu: worker.builder.gpu,
  'data-root': worker.builder['data-root'],
  'reconnect-for': worker.builder['reconnect-for'],
  'give-up-after': {
    ...worker.builder['give-up-after'],
    defaultDescription: 'never: they wait for the coordinator',
  },
} as const satisfies Record<string, Options>;

export async function handler(args: InferredOptionTypes<typeof builder>): Promise<void> {
  const shared = await worker.processOptions(args);
  const specs = await workersFor(args);
  const backend = await backendFor(specs, args);
  const { launch } = await import('../worker/host/launch.ts');
  process.exitCode = await launch(
    specs,
    {
      ...shared,
      ...backend,
      follows: args.backend === 'auto' && !backend.requireGpu,
      giveUpAfter: shared.giveUpAfter ?? null,
    },
    onSignal,
  );
}

/**
 * What computes on these workers. Who names GPUs and leaves the backend to dpmesh wants a backend that uses them: a
 * UserError where there is none, not a slow run.
 */
export async function backendFor(specs: WorkerSpec[], args: Record<string, unknown>): Promise<BackendChoice> {
  const { UserError } = await import('../base/user-error.ts');
  const pinned = specs.some((spec) => spec.pinned);
  if (pinned && args.backend === 'webgpu')
    throw new UserError(
      '--gpus is for CUDA’s cards: for --backend webgpu start a worker for each adapter, dpmesh worker --gpu N',
    );
  const named = pinned && args.backend === 'auto' && !args.requireGpu;
  try {
    const choice = await backendOf(named ? { ...args, requireGpu: true } : args, pinned);
    if (pinned && choice.backend === 'tensorflow' && !specs.every((spec) => spec.pinned))
      throw new UserError(
        '--gpus and --cpus: a card’s bits are not a core’s, and a run takes one kind of them (but with --mixed): start two launches, or say --backend wasm',
      );
    return choice;
  } catch (error) {
    if (!(named && error instanceof UserError)) throw error;
    throw new UserError(`${error.message.replace('--require-gpu', '--gpus')}; or say --backend wasm`);
  }
}

/** The workers that `--gpus`, `--per-gpu` and `--cpus` ask for. */
export async function workersFor(args: Record<string, unknown>) {
  const { hostname } = await import('node:os');
  const { UserError } = await import('../base/user-error.ts');
  const { workersOn } = await import('../worker/host/launch.ts');
  const [perGpu, cpus] = [(args.perGpu as number | undefined) ?? 1, (args.cpus as number | undefined) ?? 0];
  if (!(Number.isInteger(perGpu) && perGpu >= 1 && perGpu <= 64))
    throw new UserError(`--per-gpu ${perGpu} must be a whole number, 1 to 64`);
  if (!(Number.isInteger(cpus) && cpus >= 0 && cpus <= 1024))
    throw new UserError(`--cpus ${cpus} must be a whole number, 0 to 1024`);
  const gpus = (args.gpus as string | undefined) ?? (cpus ? 'none' : 'all');
  return workersOn({ gpus, perGpu, cpus, host: hostname() });
}
