// npm run bench:faults [-- names… --seed N --short]: runs the commands of this folder, prints a table, and writes it to
// docs/reliability.md (not with --short).
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MAIN } from '../../bench/processes.ts';
import { type Outcome, seed, short } from './fault.ts';
import { verdict, writeTable } from './table.ts';

/** In the order of the docs. */
const NAMES = [
  ...['kills', 'resume', 'stop', 'netns', 'simulate', 'fuzz', 'strangers'],
  ...['checkpoint-damage', 'disk-full', 'soak', 'cost'],
];

const flags = ['--seed', String(seed), ...(short ? ['--short'] : [])];
const given = process.argv.slice(2).filter((arg, i, all) => !arg.startsWith('--') && all[i - 1] !== '--seed');
const unknown = given.filter((name) => !NAMES.includes(name));
if (unknown.length) {
  console.error(`there is no ${unknown.join(', ')}; there are: ${NAMES.join(', ')}`);
  process.exit(2);
}
if (!existsSync(MAIN)) {
  console.error('dist/ is not built: npm run build');
  process.exit(2);
}

const command = (name: string) => `npx tsx test/faults/${name}.ts --seed ${seed}`;

let child: ChildProcess | undefined;
process.once('exit', () => child?.kill('SIGTERM'));

/** What one command says in its last line; one that ends without that has failed. */
async function outcomeOf(name: string): Promise<Outcome> {
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const going = spawn(process.execPath, ['--import', 'tsx', script, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = going;
  let [stdout, last] = ['', ''];
  going.stdout.on('data', (text) => {
    stdout += text;
  });
  going.stderr.on('data', (text) => {
    process.stderr.write(text);
    last = String(text).trim().split('\n').at(-1) || last;
  });
  const code = await new Promise<number | string | null>((resolve) =>
    going.once('close', (code, signal) => resolve(signal ?? code)),
  );
  child = undefined;
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  } catch {
    const measured = `no figures: it ended with ${code}; ${last}`;
    return { name, what: '–', asked: '–', measured, ok: false };
  }
}

const outcomes: Outcome[] = [];
for (const name of NAMES.filter((name) => !given.length || given.includes(name))) {
  console.error(name);
  outcomes.push(await outcomeOf(name));
  // After each, so that a long night that ends early leaves what it has.
  if (!short) writeTable(NAMES, outcomes, command);
}
for (const outcome of outcomes) {
  const { name, asked, measured } = outcome;
  console.log(`${name.padEnd(18)} ${verdict(outcome).replaceAll('*', '').toUpperCase()}`);
  console.log(`  asked    ${asked}\n  measured ${measured}`);
}
if (!short) console.log('written to docs/reliability.md');
process.exitCode = outcomes.some(({ ok }) => ok === false) ? 1 : 0;
