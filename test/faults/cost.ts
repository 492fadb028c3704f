// What keys, checkpoints, hashes and heartbeats cost a quiet run: against the commit of before they came.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, embedding, fresh, median } from '../../bench/dpmesh.ts';
import { othersShare } from '../../bench/machine.ts';
import { MAIN, ROOT } from '../../bench/processes.ts';
import { sha256 } from '../../bench/run-files.ts';
import { numberFlag, report, say, seed, short, skip } from './fault.ts';

const BEFORE = '8fa551a';
const rounds = numberFlag('rounds', short ? 1 : 5);
const about = {
  name: 'cost',
  what: `MNIST with 2 workers, undisturbed, against commit ${BEFORE}, which has no keys, checkpoints, hashes and heartbeats; without page and report, which are not what is asked about. What has become faster since then is in it`,
  asked: '≤ 3 % of the time (best of each, in turn)',
};

/** The old tool, built into the scratch folder. Its files only: a worktree would have to be signed off again. */
function old(): string {
  const folder = fresh('before');
  mkdirSync(folder);
  try {
    const archive = execFileSync('git', ['archive', BEFORE], {
      cwd: ROOT,
      maxBuffer: 1 << 30,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    execFileSync('tar', ['-x', '-C', folder], { input: archive });
  } catch {
    skip(about, `commit ${BEFORE} is not in this copy of the repository`);
  }
  // With its own packages: today's are others. It is built on the way.
  execFileSync('npm', ['ci', '--silent'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'dist/cli/main.js');
}

const { data } = embedding('mnist');
async function seconds(main: string, more: string[] = []): Promise<{ wall: number; labels: string }> {
  const out = fresh('run');
  const args = ['train', '--data', data, '--workers', '2', '--seed', String(seed), '--out', out, ...more];
  const { wall } = await dpmesh(args, { main });
  return { wall, labels: sha256(join(out, 'labels.npy')) };
}

const before = old();
const share = othersShare();
const [without, having] = [[], []] as { wall: number; labels: string }[][];
for (let i = 0; i < rounds; i++) {
  // Who comes first changes, so that a machine that grows slower or faster favours neither.
  const order = [
    () => seconds(before).then((run) => without.push(run)),
    () => seconds(MAIN, ['--no-http', '--no-report', '--backend', 'wasm']).then((run) => having.push(run)),
  ];
  for (const next of i % 2 ? order.reverse() : order) await next();
  say(`${without[i].wall.toFixed(2)} s before, ${having[i].wall.toFixed(2)} s now`);
}
const [a, b] = [without, having].map((runs) => runs.map(({ wall }) => wall));
const others = Math.round(100 * (share() ?? 0));
const change = (of: (values: number[]) => number) => of(b) / of(a) - 1;
const best = (values: number[]) => Math.min(...values);
const figure = (of: (values: number[]) => number) =>
  `${of(b).toFixed(2)} s against ${of(a).toFixed(2)} s (${(100 * change(of)).toFixed(1)} %)`;
const same = new Set([...without, ...having].map(({ labels }) => labels)).size === 1;
report({
  ...about,
  measured: `whole process, ${rounds} runs each: best ${figure(best)}, median ${figure(median)}; ${same ? 'the same labels' : 'other labels than then'}${others > 5 ? `; others took ${others} % of the CPU` : ''}`,
  ok: change(best) <= 0.03,
});
