import { printable } from '../base/text.ts';
import { BACKENDS } from '../worker/compute/backends/load.ts';
import type { Check } from '../worker/host/doctor/check.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'doctor';
export const describe = 'look at this machine: what works, how fast, and what to do about the rest';
export const builder = {
  backend: {
    type: 'string',
    requiresArg: true,
    choices: ['auto', ...BACKENDS],
    describe: 'this one has to work: exit 1 if it does not',
    defaultDescription: 'none has to',
  },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
} as const satisfies Flags;

export async function handler({ backend, json }: FlagValues<typeof builder>): Promise<void> {
  const { doctor } = await import('../worker/host/doctor/doctor.ts');
  const checks = await doctor(backend, json ? () => {} : show);
  const count = (status: Check['status']) => checks.filter((check) => check.status === status).length;
  const ok = count('failure') === 0;
  if (json) console.log(JSON.stringify({ ok, checks }));
  else
    console.log(
      `\n${count('ok')} ok, ${count('warning')} to know of, ${count('failure')} that must be mended`,
    );
  process.exitCode = ok ? 0 : 1;
}

const MARKS = { ok: 'ok', warning: 'warning', failure: 'FAILURE' };

function show({ name, status, detail, remedy }: Check): void {
  console.log(printable(`${MARKS[status].padEnd(8)} ${name.padEnd(12)} ${detail}`));
  if (remedy) console.log(printable(`${' '.repeat(21)} → ${remedy}`));
}
