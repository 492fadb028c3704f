import { printable } from '../base/text.ts';
import { BACKENDS } from '../worker/compute/backends/load.ts';
import type { CheckResult } from '../worker/host/doctor/check.ts';
import type { Flags, FlagValues } from './flag.ts';

export const command = 'doctor';
export const describe =
  'check which backends and features work on this machine, and how to fix those that do not';
export const builder = {
  backend: {
    type: 'string',
    requiresArg: true,
    choices: ['auto', ...BACKENDS],
    describe: 'exit with code 1 unless this backend works',
    defaultDescription: 'any',
  },
  json: { type: 'boolean', default: false, describe: 'print one JSON object instead of text' },
} as const satisfies Flags;
export const examples = [
  ['doctor', 'what works here'],
  ['doctor --backend tensorflow', 'exit code 1 unless this backend works'],
] as const;

export async function handler({ backend, json }: FlagValues<typeof builder>): Promise<void> {
  const { doctor } = await import('../worker/host/doctor/doctor.ts');
  const checks = await doctor(backend, json ? () => {} : show);
  const count = (status: CheckResult['status']) => checks.filter((check) => check.status === status).length;
  const ok = count('failure') === 0;
  if (json) console.log(JSON.stringify({ ok, checks }));
  else
    console.log(
      `\n${count('ok')} ok, ${numbered(count('warning'), 'warning')}, ${numbered(count('failure'), 'failure')}`,
    );
  process.exitCode = ok ? 0 : 1;
}

const numbered = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

const MARKS = { ok: 'ok', warning: 'warning', failure: 'FAILURE' };

function show({ name, status, detail, remedy }: CheckResult): void {
  console.log(printable(`${MARKS[status].padEnd(8)} ${name.padEnd(12)} ${detail}`));
  if (remedy) console.log(printable(`${' '.repeat(21)} → ${remedy}`));
}
