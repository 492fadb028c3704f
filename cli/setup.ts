import { BACKENDS } from '../base/identity.ts';
import { counted } from '../base/quantities.ts';
import { indentContinuation } from '../base/text.ts';
import { INTERRUPTED, UserError } from '../base/user-error.ts';
import { JSON_OUTPUT } from '../library/command-options.ts';
import { oneOf, text, yesOrNo } from '../run/domains.ts';
import { option } from '../run/option.ts';
import type { CheckResult } from '../worker/host/doctor/machine.ts';
import { defineCommand } from './flags.ts';
import { onSignal } from './process.ts';

/** What a machine has: installing backends, and checking all. */

export const setup = defineCommand({
  command: 'setup [what]',
  describe: 'install the backend tensorflow or webgpu in a folder of its own',
  options: {
    cuda: option(yesOrNo(), {
      help: 'tensorflow: include the CUDA libraries, so that a host needs only the driver',
      fast: false,
    }),
    dir: option(text(), { help: 'folder to install into', defaultText: 'the user’s data folder' }),
    remove: option(yesOrNo(), {
      help: 'remove the backend that is named, or all that were set up',
      fast: false,
    }),
  },
  examples: [
    ['setup tensorflow', 'a faster backend for CPUs'],
    ['setup tensorflow --cuda', 'for NVIDIA GPUs'],
    ['setup webgpu --remove', 'remove a backend'],
  ],
  async handler({ what: name, cuda, dir, remove }) {
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
      if (what === 'tensorflow')
        await (await import('../worker/host/setup/tensorflow.ts')).setupTensorflow({ cuda, dir });
      else await (await import('../worker/host/setup/webgpu.ts')).setupWebgpu({ dir });
    } catch (error) {
      if (!stopped) throw error;
      console.error('stopped; nothing was set up, and its files were removed');
      process.exitCode = INTERRUPTED;
    }
  },
});

const NAMES = ['tensorflow', 'webgpu'] as const;

export const doctor = defineCommand({
  command: 'doctor',
  describe: 'check which backends and features work on this machine, and how to fix those that do not',
  options: {
    backend: option(oneOf('auto', ...BACKENDS), {
      help: 'exit with code 1 unless this backend works',
      defaultText: 'any',
    }),
    json: JSON_OUTPUT,
  },
  examples: [
    ['doctor', 'what works here'],
    ['doctor --backend tensorflow', 'exit code 1 unless this backend works'],
  ],
  async handler({ backend, json }) {
    const { doctor } = await import('../worker/host/doctor/doctor.ts');
    const checks = await doctor(backend, json ? () => {} : show);
    const [fine, warnings, failures] = (['ok', 'warning', 'failure'] as const).map(
      (status) => checks.filter((check) => check.status === status).length,
    );
    const ok = failures === 0;
    if (json) console.log(JSON.stringify({ ok, checks }));
    else console.log(`\n${fine} ok, ${counted(warnings, 'warning')}, ${counted(failures, 'failure')}`);
    process.exitCode = ok ? 0 : 1;
  },
});

const MARKS = { ok: 'ok', warning: 'warning', failure: 'FAILURE' };

function show({ name, status, detail, remedy }: CheckResult): void {
  console.log(indentContinuation(`${MARKS[status].padEnd(8)} ${name.padEnd(12)} ${detail}`));
  if (remedy) console.log(indentContinuation(`${' '.repeat(21)} → ${remedy}`));
}
