import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../bench/processes.ts';
import type { CampaignResult } from './campaign.ts';

/** The abbreviated commit, with + if the working tree differs from it; empty outside git. */
function revision(): string {
  try {
    const args = ['describe', '--always', '--dirty=+', '--exclude=*'];
    return execFileSync('git', args, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}

/** The table in docs/reliability.md: this module writes only what is between the two marks. */
const PATH = join(ROOT, 'docs/reliability.md');
const [BEGIN, END] = ['<!-- figures: npm run bench:faults -->', '<!-- end of figures -->'];
const HEAD = `| name | what | target | measured | verdict | day, commit, cores |
|---|---|---|---|---|---|`;

export function verdict({ ok, measured }: CampaignResult): string {
  if (ok === null) return measured.startsWith('skipped') ? 'skipped' : 'incomplete';
  return ok ? 'met' : '**missed**';
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Writes the rows of `results` in the order of `names`; other rows stay as they are. */
export function writeTable(names: string[], results: CampaignResult[]): void {
  const old = readFileSync(PATH, 'utf8');
  const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${PATH} lacks the marks of its table`);
  const rows = new Map(
    [...old.slice(from, to).matchAll(/^\| `([a-z-]+)` \|.*$/gm)].map(([line, name]) => [name, line]),
  );
  const day = new Date().toISOString().slice(0, 10);
  for (const result of results) {
    const { name, what, target, measured } = result;
    const where = [day, revision(), availableParallelism()].filter(Boolean).join(', ');
    const cells = [`\`${name}\``, what, target, measured, verdict(result), where];
    rows.set(name, `| ${cells.map(cell).join(' | ')} |`);
  }
  const missing = names.filter((name) => !rows.has(name)).map((name) => `\`${name}\``);
  const lines = [BEGIN, '', HEAD, ...names.flatMap((name) => rows.get(name) ?? [])];
  if (missing.length) lines.push('', `Not measured yet: ${missing.join(', ')}.`);
  writeFileSync(PATH, `${old.slice(0, from)}${lines.join('\n')}\n\n${old.slice(to)}`);
}
