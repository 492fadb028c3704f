// npm run bench:faults [-- names… --seed N --short]: runs the campaigns of this folder, prints the results and, without
// --short, writes them to docs/reliability.md.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MAIN } from '../../bench/processes.ts';
import { type CampaignResult, seed, short } from './campaign.ts';
import { verdict, writeTable } from './table.ts';

/** In the order of the table. */
const NAMES = [
  ...['kills', 'resume', 'stop', 'netns', 'simulate', 'fuzz', 'strangers'],
  ...['disk-full', 'soak'],
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

const results: CampaignResult[] = [];
for (const name of NAMES.filter((name) => !selected.length || selected.includes(name))) {
  console.error(name);
  results.push(await runCampaign(name));
  // After each, so that an interrupted series keeps its results.
  if (!short) writeTable(NAMES, results);
}
for (const result of results) {
  const { name, target, measured } = result;
  console.log(`${name.padEnd(18)} ${verdict(result).replaceAll('*', '').toUpperCase()}`);
  console.log(`  target   ${target}\n  measured ${measured}`);
}
if (!short) console.log('written to docs/reliability.md');
process.exitCode = results.some(({ ok }) => ok === false) ? 1 : 0;
