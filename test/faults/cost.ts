// The cost of keys, checkpoints, hashes and heartbeats for an undisturbed run, against the last commit without them.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dpmesh, embedding, median, tempPath } from '../../bench/dpmesh.ts';
import { measureOtherCpu } from '../../bench/machine.ts';
import { MAIN, ROOT } from '../../bench/processes.ts';
import { sha256 } from '../../bench/run-files.ts';
import { log, numberFlag, report, seed, short, skip } from './campaign.ts';

const BEFORE = '8fa551a';
const rounds = numberFlag('rounds', short ? 1 : 5);
const campaign = {
  name: 'cost',
  what: `MNIST with 2 workers, undisturbed, against commit ${BEFORE}, which has no keys, checkpoints, hashes and heartbeats; without live page and report, which are not under test. Includes all speed-ups since then`,
  target: '≤ 3 % more time (best of each, alternating)',
};

/** Builds the old version in the scratch folder and returns its main script. Not a worktree, which git would have to prune. */
function buildOld(): string {
  const folder = tempPath('before');
  mkdirSync(folder);
  try {
    const archive = execFileSync('git', ['archive', BEFORE], {
      cwd: ROOT,
      maxBuffer: 1 << 30,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    execFileSync('tar', ['-x', '-C', folder], { input: archive });
  } catch {
    skip(campaign, `commit ${BEFORE} is not in this copy of the repository`);
  }
  // With its own dependencies, which have changed since. `npm ci` also builds it.
  execFileSync('npm', ['ci', '--silent'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'dist/cli/main.js');
}

const { data } = embedding('mnist');
async function run(main: string, more: string[] = []): Promise<{ wall: number; labels: string }> {
  const out = tempPath('run');
  const args = ['train', '--data', data, '--workers', '2', '--seed', String(seed), '--out', out, ...more];
  const { wall } = await dpmesh(args, { main });
  return { wall, labels: sha256(join(out, 'labels.npy')) };
}

const oldMain = buildOld();
const otherCpu = measureOtherCpu();
const [oldRuns, newRuns] = [[], []] as { wall: number; labels: string }[][];
for (let i = 0; i < rounds; i++) {
  // Alternating order, so that a machine whose speed drifts favours neither.
  const order = [
    () => run(oldMain).then((result) => oldRuns.push(result)),
    () => run(MAIN, ['--no-http', '--no-report', '--backend', 'wasm']).then((result) => newRuns.push(result)),
  ];
  for (const next of i % 2 ? order.reverse() : order) await next();
  log(`${oldRuns[i].wall.toFixed(2)} s before, ${newRuns[i].wall.toFixed(2)} s now`);
}
const [a, b] = [oldRuns, newRuns].map((runs) => runs.map(({ wall }) => wall));
const others = Math.round(100 * (otherCpu() ?? 0));
const change = (of: (values: number[]) => number) => of(b) / of(a) - 1;
const best = (values: number[]) => Math.min(...values);
const comparison = (of: (values: number[]) => number) =>
  `${of(b).toFixed(2)} s against ${of(a).toFixed(2)} s (${(100 * change(of)).toFixed(1)} %)`;
const same = new Set([...oldRuns, ...newRuns].map(({ labels }) => labels)).size === 1;
report({
  ...campaign,
  measured: `whole process, ${rounds} runs each: best ${comparison(best)}, median ${comparison(median)}; ${same ? 'the same labels' : 'different labels'}${others > 5 ? `; other processes used ${others} % of the CPU` : ''}`,
  ok: change(best) <= 0.03,
});
