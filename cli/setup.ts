import { UserError } from '../base/user-error.ts';
import type { Flags, FlagValues } from './flag.ts';
import { INTERRUPTED, onSignal } from './signals.ts';

export const command = 'setup [what]';
export const describe = 'set up TensorFlow (tensorflow) or WebGPU (webgpu) in a folder of its own';
export const builder = {
  what: { type: 'string', hidden: true },
  cuda: {
    type: 'boolean',
    default: false,
    describe: 'tensorflow: with CUDA, so that a driver is all a host needs',
  },
  dir: {
    type: 'string',
    requiresArg: true,
    describe: 'the folder to make it in',
    defaultDescription: 'the user’s data folder',
  },
  remove: { type: 'boolean', default: false, describe: 'take away what was set up: what is named, or all' },
} as const satisfies Flags;

const NAMES = ['tensorflow', 'webgpu'] as const;

export async function handler({ what: given, cuda, dir, remove }: FlagValues<typeof builder>): Promise<void> {
  const what = NAMES.find((name) => name === given);
  if (given !== undefined && !what)
    throw new UserError(`setup ${given}: there is only setup ${NAMES.join(' and setup ')}`);
  if (remove) {
    if (cuda || dir !== undefined) throw new UserError('--remove stands alone; leave --cuda and --dir out');
    const { removeSetup } = await import('../worker/host/setup/setup-folder.ts');
    const gone = (what ? [what] : NAMES).flatMap((name) => removeSetup(name) ?? []);
    console.error(gone.length ? `removed ${gone.join(' and ')}` : 'nothing was set up');
    return;
  }
  if (!what) throw new UserError('name what to set up: dpmesh setup tensorflow, or dpmesh setup webgpu');
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
    console.error('stopped; nothing was set up, and nothing is left of it');
    process.exitCode = INTERRUPTED;
  }
}
