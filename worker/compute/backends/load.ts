import { existsSync } from 'node:fs';
import { BACKENDS } from '../../../base/identity.ts';
import { assertAddressSpace } from '../../../base/limits.ts';
import { UserError } from '../../../base/user-error.ts';
import { findTensorflow, findWebgpu } from '../installed.ts';
import type { Backend } from './backend.ts';

export const NOT_SET_UP = 'TensorFlow is not set up';
/** Begins a `why`. Whether CUDA has a usable card is known only when TensorFlow is loaded. */
export const CUDA = 'CUDA is set up in';

/**
 * Resolves `auto` by what is set up: CUDA, else TensorFlow on the CPU, else WASM. Loads nothing. UserError for a backend that
 * is not set up.
 *
 * With `requireGpu`, `auto` takes WebGPU if there is no CUDA (unless workers are `pinned` to CUDA devices), and a backend
 * that never uses a GPU is a UserError. Whether there is a GPU is known only when the backend is loaded. `flag`: the option
 * that requires a GPU, for messages.
 */
export async function chooseBackend(
  asked: string,
  { requireGpu = false, pinned = false, flag = '--require-gpu' } = {},
): Promise<{ backend: string; why: string }> {
  const tensorflow = findTensorflow();
  const webgpu = asked === 'webgpu' || (asked === 'auto' && requireGpu) ? findWebgpu() : null;
  if (asked === 'tensorflow' || asked === 'webgpu') {
    const installed = asked === 'tensorflow' ? tensorflow : webgpu;
    if (!installed) throw new UserError(`--backend ${asked} is not set up here; run: dpmesh setup ${asked}`);
    if ('problem' in installed) throw new UserError(`--backend ${asked}: ${installed.problem}`);
  } else if (asked !== 'auto' && requireGpu)
    throw new UserError(`${flag}: --backend ${asked} computes on the CPU; leave one of the two out`);
  if (asked !== 'auto') return { backend: asked, why: 'asked for' };
  const usable = tensorflow && !('problem' in tensorflow) ? tensorflow : null;
  if (usable?.cuda && hasCudaDevice()) return { backend: 'tensorflow', why: `${CUDA} ${usable.dir}` };
  if (requireGpu) {
    if (!pinned && webgpu && !('problem' in webgpu))
      return { backend: 'webgpu', why: 'no CUDA, and a GPU is required' };
    throw new UserError(`${flag}: ${noGpu(usable?.cuda === true, pinned)}`);
  }
  if (usable) {
    const cuda = usable.cuda ? 'no NVIDIA driver, ' : '';
    return { backend: 'tensorflow', why: `${cuda}TensorFlow on the CPU, ${usable.dir}` };
  }
  return { backend: 'wasm', why: tensorflow && 'problem' in tensorflow ? tensorflow.problem : NOT_SET_UP };
}

/** Does an NVIDIA driver seem to be installed? Cheap, so a broken driver passes. WSL2 has its own device file. */
function hasCudaDevice(): boolean {
  return process.platform === 'win32' || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg');
}

function noGpu(cuda: boolean, pinned: boolean): string {
  if (cuda)
    return 'TensorFlow with CUDA is set up, but this machine has no NVIDIA driver (run dpmesh doctor)';
  if (pinned) return 'CUDA is not set up; run: dpmesh setup tensorflow --cuda';
  return 'no backend that uses a GPU is set up; run: dpmesh setup tensorflow --cuda, or dpmesh setup webgpu';
}

/** UserError if the loaded backend does not compute on a GPU, as `flag` requires. */
export function assertGpu(
  { identity, device }: Pick<Backend, 'identity' | 'device'>,
  flag = '--require-gpu',
): void {
  if (!device)
    throw new UserError(
      `${flag}: ${identity} computes on the CPU; dpmesh doctor explains why it sees no GPU`,
    );
}

/** WebAssembly memories in a worker: that of TensorFlow.js and one for each of our kernels. Other backends use one kernel. */
const MEMORIES: Record<string, number> = { wasm: 4, tensorflow: 4 };

/** UserError if the address space is too small for a worker with this backend. */
export const assertAddressSpaceFor = (backend: string) => assertAddressSpace(MEMORIES[backend] ?? 1);

/**
 * Loads the backend of this name, which takes some time: `gpu` is the adapter that `webgpu` uses, counted from 0; `now`: also what is
 * otherwise loaded when first needed. UserError if it is not set up or does not load.
 */
export async function loadBackend(name: string, { gpu = 0, now = false } = {}): Promise<Backend> {
  assertAddressSpaceFor(name);
  switch (name) {
    case 'cpu':
      return (await import('./host.ts')).cpuBackend();
    case 'wasm':
      return (await import('./wasm.ts')).wasmBackend();
    case 'tensorflow':
      return (await import('./tensorflow.ts')).tensorflowBackend({ now });
    case 'webgpu':
      return (await import('./webgpu.ts')).webgpuBackend(gpu);
    default:
      throw new UserError(
        `--backend ${name}: there is no such backend; choose one of ${BACKENDS.join(', ')}`,
      );
  }
}
