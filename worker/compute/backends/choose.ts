import { existsSync } from 'node:fs';
import { UserError } from '../../../base/user-error.ts';
import { findTensorflow, findWebgpu } from '../installed.ts';

export const NOT_SET_UP = 'TensorFlow is not set up';
/** Whether there is a card that it can use, the loading tells. */
export const CUDA = 'CUDA is set up in';

export interface Choice {
  backend: string;
  /** For people: what it hung on. */
  why: string;
}

/**
 * What computes, where `asked` is `auto`: CUDA, else TensorFlow on the CPU, else WASM, by what is set up; loads nothing.
 * With `requireGpu`, auto takes WebGPU where there is no CUDA (with `pinned` to CUDA's cards it does not), and a backend that never has a GPU is a UserError; whether
 * there is one, its loading tells. `flag`: which one requires it, for messages. UserError for a backend that is not set up.
 */
export async function chooseBackend(
  asked: string,
  { requireGpu = false, pinned = false, flag = '--require-gpu' } = {},
): Promise<Choice> {
  const tensorflow = findTensorflow();
  const webgpu = asked === 'webgpu' || (asked === 'auto' && requireGpu) ? findWebgpu() : null;
  if (asked === 'tensorflow' || asked === 'webgpu') {
    const found = asked === 'tensorflow' ? tensorflow : webgpu;
    if (!found) throw new UserError(`--backend ${asked} is not set up here; run: dpmesh setup ${asked}`);
    if ('problem' in found) throw new UserError(`--backend ${asked}: ${found.problem}`);
    return { backend: asked, why: 'asked for' };
  }
  if (asked !== 'auto') {
    if (requireGpu) throw new UserError(`${flag}: --backend ${asked} computes on the CPU; leave one out`);
    return { backend: asked, why: 'asked for' };
  }
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
  if (tensorflow && 'problem' in tensorflow) return { backend: 'wasm', why: tensorflow.problem };
  return { backend: 'wasm', why: NOT_SET_UP };
}

/** Is there a driver that could give one? Cheap; a broken driver passes. WSL2 has its own. */
function hasCudaDevice(): boolean {
  return process.platform === 'win32' || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg');
}

function noGpu(cuda: boolean, pinned: boolean): string {
  if (cuda)
    return 'TensorFlow with CUDA is set up, but this machine has no NVIDIA driver (see dpmesh doctor)';
  if (pinned) return 'CUDA is not set up; run dpmesh setup tensorflow --cuda';
  return 'no backend with a GPU is set up; run dpmesh setup tensorflow --cuda, or dpmesh setup webgpu';
}
