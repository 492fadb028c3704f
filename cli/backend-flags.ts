import type { Options } from 'yargs';
import { UserError } from '../base/user-error.ts';

const GROUP = 'What computes:';

/** Flags of whoever starts workers. */
export const backendOptions = {
  backend: {
    type: 'string',
    group: GROUP,
    default: 'auto',
    choices: ['auto', 'wasm', 'cpu', 'tensorflow', 'webgpu'],
    describe: 'what computes; auto: CUDA, else TensorFlow, where set up (dpmesh setup), else wasm',
  },
  'require-gpu': {
    type: 'boolean',
    group: GROUP,
    default: false,
    describe: 'end with exit code 2 rather than compute without a GPU',
  },
  gpu: {
    type: 'number',
    group: GROUP,
    default: 0,
    requiresArg: true,
    describe: 'which adapter webgpu takes, counted from 0 (dpmesh doctor lists them)',
  },
} as const satisfies Record<string, Options>;

export interface BackendChoice {
  backend: string;
  why: string;
  gpu: number;
  requireGpu: boolean;
}

/** The backend that the flags and this machine lead to; loads none, except to prove a GPU that is required. */
export async function backendOf(args: Record<string, unknown>, pinned = false): Promise<BackendChoice> {
  const { gpu, requireGpu = false } = args as { gpu: number; requireGpu?: boolean };
  if (!(Number.isInteger(gpu) && gpu >= 0))
    throw new UserError(`--gpu ${gpu} must be a whole number, at least 0`);
  const { chooseBackend } = await import('../worker/compute/backends/choose.ts');
  const choice = await chooseBackend(String(args.backend), { requireGpu, pinned });
  if (gpu > 0 && choice.backend !== 'webgpu')
    throw new UserError(
      `--gpu ${gpu} is for --backend webgpu; CUDA’s cards are chosen by CUDA_VISIBLE_DEVICES`,
    );
  if (requireGpu) await (await import('../worker/compute/backends/prove.ts')).proveGpu(choice.backend, gpu);
  return { ...choice, gpu, requireGpu };
}
