import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { revision } from '../../bench/machine.ts';
import { ROOT } from '../../bench/processes.ts';
import type { Outcome } from './fault.ts';

/** The table of docs/reliability.md: everything between two marks is this file's, the text around it is not. */
const PATH = join(ROOT, 'docs/reliability.md');
const [BEGIN, END] = ['<!-- figures: npm run bench:faults -->', '<!-- end of figures -->'];
const HEAD = `| name | what | asked | measured | verdict | command, day, code, machine |
|---|---|---|---|---|---|`;

export function verdict({ ok, measured }: Outcome): string {
  if (ok === null) return measured.startsWith('skipped') ? 'skipped' : 'in part';
  return ok ? 'met' : '**missed**';
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Writes the rows of `outcomes`, in the order of `names`; rows not measured this time stay as they are. */
export function writeTable(names: string[], outcomes: Outcome[], command: (name: string) => string): void {
  const old = readFileSync(PATH, 'utf8');
  const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${PATH} has lost the marks of its table`);
  const rows = new Map(
    [...old.slice(from, to).matchAll(/^\| `([a-z-]+)` \|.*$/gm)].map((found) => [found[1], found[0]]),
  );
  const day = new Date().toISOString().slice(0, 10);
  const machine = `${availableParallelism()} cores, ${cpus()[0]?.model.trim() || 'unknown'}`;
  for (const outcome of outcomes) {
    const { name, what, asked, measured } = outcome;
    const where = [`\`${command(name)}\``, day, revision(), machine].filter(Boolean).join(', ');
    const cells = [`\`${name}\``, what, asked, measured, verdict(outcome), where];
    rows.set(name, `| ${cells.map(cell).join(' | ')} |`);
  }
  const missing = names.filter((name) => !rows.has(name)).map((name) => `\`${name}\``);
  const lines = [BEGIN, '', HEAD, ...names.flatMap((name) => rows.get(name) ?? [])];
  if (missing.length) lines.push('', `Not measured yet: ${missing.join(', ')}.`);
  writeFileSync(PATH, `${old.slice(0, from)}${lines.join('\n')}\n\n${old.slice(to)}`);
}
