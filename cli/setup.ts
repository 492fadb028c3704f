import { INTERRUPTED, UserError } from '../base/user-error.ts';
import type { Flags, FlagValues } from './flag.ts';
import { onSignal } from './signals.ts';

const NAMES = ['tensorflow', 'webgpu'] as const;

export const command = 'setup [what]';
export const describe = 'install the backend tensorflow or webgpu in a folder of its own';
export const builder = {
  what: { type: 'string', hidden: true },
  cuda: {
    type: 'boolean',
    default: false,
    describe: 'tensorflow: include the CUDA libraries, so that a host needs only the driver',
  },
  dir: {
    type: 'string',
    requiresArg: true,
    describe: 'folder to install into',
    defaultDescription: 'the user’s data folder',
  },
  remove: {
    type: 'boolean',
    default: false,
    describe: 'remove the backend that is named, or all that were set up',
  },
} as const satisfies Flags;
export const choices = NAMES;
export const examples = [
  ['setup tensorflow', 'a faster backend for CPUs'],
  ['setup tensorflow --cuda', 'for NVIDIA GPUs'],
  ['setup webgpu --remove', 'remove a backend'],
] as const;

export async function handler({ what: name, cuda, dir, remove }: FlagValues<typeof builder>): Promise<void> {
  const what = NAMES.find((known) => known === name);
  if (name !== undefined && !what)
    throw new UserError(`cannot set up ${name}; use dpmesh setup ${NAMES.join(' or dpmesh setup ')}`);
  if (remove) {
    if (cuda || dir !== undefined)
      throw new UserError('--remove cannot be combined with --cuda or --dir; leave them out');
    const { removeSetup } = await import('../worker/host/setup/setup-folder.ts');
    const removed = (what ? [what] : NAMES).flatMap((name) => removeSetup(name) ?? []);
    console.error(removed.length ? `removed ${removed.join(' and ')}` : 'nothing was set up');
    return;
  }
  if (!what) throw new UserError('no backend given; use dpmesh setup tensorflow or dpmesh setup webgpu');
  if (what === 'webgpu' && cuda) throw new UserError('--cuda is for setup tensorflow; leave it out');
  const { stopPrograms } = await import('../worker/host/setup/programs.ts');
  let stopped = false;
  onSignal(() => {
    stopped = true;
    stopPrograms();
  });
  try {
    if (what === 'tensorflow') {
      const { setupTensorflow } = await import('../worker/host/setup/tensorflow.ts');
      await setupTensorflow({ cuda, dir });
    } else {
      const { setupWebgpu } = await import('../worker/host/setup/webgpu.ts');
      await setupWebgpu({ dir });
    }
  } catch (error) {
    if (!stopped) throw error;
    console.error('stopped; nothing was set up, and its files were removed');
    process.exitCode = INTERRUPTED;
  }
}
