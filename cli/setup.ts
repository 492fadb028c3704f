import type { Options } from 'yargs';
import { UserError } from '../base/user-error.ts';
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
} as const satisfies Record<string, Options>;

const NAMES = ['tensorflow', 'webgpu'] as const;

export async function handler(args: Record<string, unknown>): Promise<void> {
  const what = NAMES.find((name) => name === args.what);
  if (args.what !== undefined && !what)
    throw new UserError(`setup ${args.what}: there is only setup ${NAMES.join(' and setup ')}`);
  const dir = args.dir as string | undefined;
  if (args.remove) {
    if (args.cuda || dir !== undefined)
      throw new UserError('--remove stands alone; leave --cuda and --dir out');
    const { removeSetup } = await import('../worker/host/setup/place.ts');
    const gone = (what ? [what] : NAMES).flatMap((name) => removeSetup(name) ?? []);
    console.error(gone.length ? `removed ${gone.join(' and ')}` : 'nothing was set up');
    return;
  }
  if (!what) throw new UserError('name what to set up: dpmesh setup tensorflow, or dpmesh setup webgpu');
  if (what === 'webgpu' && args.cuda) throw new UserError('--cuda is for setup tensorflow; leave it out');
  const { stopPrograms } = await import('../worker/host/setup/steps.ts');
  let stopped = false;
  onSignal(() => {
    stopped = true;
    stopPrograms();
  });
  try {
    if (what === 'tensorflow') {
      const { setupTensorflow } = await import('../worker/host/setup/tensorflow.ts');
      await setupTensorflow({ cuda: args.cuda === true, dir });
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
