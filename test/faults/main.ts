// npm run bench:faults [-- names… --seed N --short]: runs the campaigns of this folder, prints the results and, without
// --short, writes them to results.md.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MAIN, ROOT } from '../bench/processes.ts';
import { type CampaignResult, seed, short } from './campaign.ts';

/** In the order of the list. */
const NAMES = [
  ...['kills', 'resume', 'update', 'follow', 'stop', 'netns', 'simulate'],
  ...['fuzz', 'strangers', 'disk-full', 'soak', 'relays'],
];

const flags = ['--seed', String(seed), ...(short ? ['--short'] : [])];
const selected = process.argv
  .slice(2)
  .filter((arg, i, all) => !arg.startsWith('--') && all[i - 1] !== '--seed');
const unknown = selected.filter((name) => !NAMES.includes(name));
if (unknown.length) {
  console.error(`unknown campaign ${unknown.join(', ')}; campaigns: ${NAMES.join(', ')}`);
  process.exit(2);
}
if (!existsSync(MAIN)) {
  console.error('dist/ is not built: npm run build');
  process.exit(2);
}

let child: ChildProcess | undefined;
process.once('exit', () => child?.kill('SIGTERM'));

/** Runs a campaign and parses its last line; without a result line it has failed. */
async function runCampaign(name: string): Promise<CampaignResult> {
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const campaign = spawn(process.execPath, ['--import', 'tsx', script, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = campaign;
  let [stdout, last] = ['', ''];
  campaign.stdout.on('data', (text) => {
    stdout += text;
  });
  campaign.stderr.on('data', (text) => {
    process.stderr.write(text);
    last = String(text).trim().split('\n').at(-1) || last;
  });
  const code = await new Promise<number | string | null>((resolve) =>
    campaign.once('close', (code, signal) => resolve(signal ?? code)),
  );
  child = undefined;
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  } catch {
    const measured = `no result: it exited with ${code}; ${last}`;
    return { name, what: '–', target: '–', measured, ok: false };
  }
}

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

/** This module writes only what is between the two marks. */
const PATH = join(ROOT, 'test/faults/results.md');
const [BEGIN, END] = ['<!-- figures: npm run bench:faults -->', '<!-- end of figures -->'];

function verdict({ ok, measured }: CampaignResult): string {
  if (ok === null) return measured.startsWith('skipped') ? 'skipped' : 'incomplete';
  return ok ? 'met' : '**missed**';
}

/** Writes the lines of `results` in the order of NAMES; other lines stay as they are. */
function writeList(results: CampaignResult[]): void {
  const old = readFileSync(PATH, 'utf8');
  const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${PATH} lacks the marks of its list`);
  const rows = new Map(
    [...old.slice(from, to).matchAll(/^- `([a-z-]+)` .*$/gm)].map(([line, name]) => [name, line]),
  );
  const day = new Date().toISOString().slice(0, 10);
  for (const result of results) {
    const { name, what, target, measured } = result;
    const missed = result.ok ? '' : `${verdict(result).replaceAll('*', '')}: ${target}`;
    const about = [missed, day, revision(), availableParallelism()].filter(Boolean).join(', ');
    rows.set(name, `- \`${name}\` ${what}: **${measured}** (${about})`.replaceAll('\n', ' '));
  }
  const missing = NAMES.filter((name) => !rows.has(name)).map((name) => `\`${name}\``);
  const lines = [BEGIN, '', ...NAMES.flatMap((name) => rows.get(name) ?? [])];
  if (missing.length) lines.push('', `Not measured yet: ${missing.join(', ')}.`);
  writeFileSync(PATH, `${old.slice(0, from)}${lines.join('\n')}\n\n${old.slice(to)}`);
}

const results: CampaignResult[] = [];
for (const name of NAMES.filter((name) => !selected.length || selected.includes(name))) {
  console.error(name);
  results.push(await runCampaign(name));
  // After each, so that an interrupted series keeps its results.
  if (!short) writeList(results);
}
for (const result of results) {
  const { name, target, measured } = result;
  console.log(`${name.padEnd(18)} ${verdict(result).replaceAll('*', '').toUpperCase()}`);
  console.log(`  target   ${target}\n  measured ${measured}`);
}
if (!short) console.log('written to test/faults/results.md');
process.exitCode = results.some(({ ok }) => ok === false) ? 1 : 0;
