// tsx bench/faults/strangers.ts [--seed N] [--rounds N]: a run with keys while peers without keys, with
// unknown ones, plain sockets and idle connections hammer its port, against quiet runs. Prints one JSON line.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { dpmesh, embedding, events, fresh, MAIN, median, note, sha256 } from '../dpmesh.ts';
import { numberFlag, report, seed, short } from './fault.ts';

const SLOWER = 1.1;
const rounds = numberFlag('rounds', short ? 1 : 3);
const { data } = embedding('mnist');

const keys = fresh('keys');
const made = JSON.parse((await dpmesh(['keygen', keys, '--json'])).stdout);

/** One whole run of a coordinator and two workers with keys, from the start of its first epoch to its end. */
async function run(hammered: boolean) {
  const out = fresh('run');
  const coordinator = start([
    ...['coordinator', '--data', data, '--seed', String(seed), '--out', out],
    ...['--bind', 'tcp://127.0.0.1:*', '--keys', keys, '--json'],
  ]);
  let said = '';
  let summary = '';
  coordinator.stdout!.on('data', (text) => {
    summary += text;
  });
  coordinator.stderr!.on('data', (text) => {
    said += text;
  });
  let over = false;
  const ended = new Promise<number | null>((resolve) => coordinator.once('close', resolve));
  void ended.then(() => {
    over = true;
  });
  let address: string | undefined;
  while (!(address = /listening on (\S+);/.exec(said)?.[1])) {
    if (over) throw new Error(said);
    await sleep(10);
  }
  const crowd = hammered
    ? start([address, String(seed), made.server.public], fileURLToPath(new URL('crowd.ts', import.meta.url)))
    : null;
  let knocks = '';
  if (crowd)
    crowd.stdout!.on('data', (text) => {
      knocks += text;
    });
  // The crowd is there before the workers are.
  if (crowd) while (!knocks) await sleep(10);
  const key = join(keys, 'worker.key');
  const workers = [0, 1].map(() => start(['worker', '--connect', address, '--key', key, '--data-root', '/']));
  const code = await ended;
  crowd?.kill('SIGTERM');
  for (const worker of workers) worker.kill('SIGTERM');
  if (code !== 0) throw new Error(said);
  const seen = events(out);
  return {
    seconds: JSON.parse(summary).seconds as number,
    labels: sha256(join(out, 'labels.npy')),
    weights: sha256(join(out, 'model/weights.bin')),
    joined: seen.filter(({ type }) => type === 'worker').length,
    gone: seen.filter(({ type }) => type === 'worker-gone').length,
    lines: said.split('\n').filter((line) => line.startsWith('refused')),
    knocks: knocks ? (JSON.parse(knocks.trim().split('\n').at(-1)!) as Record<string, number>) : {},
  };
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** The built tool, or a script of this folder, which ends with this process. */
function start(args: string[], script?: string): ChildProcess {
  const program = script ? ['--import', 'tsx', script] : [MAIN];
  const child = spawn(process.execPath, [...program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (script) child.stderr!.pipe(process.stderr);
  else child.stderr!.resume();
  children.add(child.once('close', () => children.delete(child)));
  return child;
}

const quiet = [];
const hammered = [];
for (let i = 0; i < rounds; i++) {
  quiet.push(await run(false));
  hammered.push(await run(true));
  note(`quiet ${quiet[i].seconds.toFixed(2)} s, hammered ${hammered[i].seconds.toFixed(2)} s`);
}
const all = [...quiet, ...hammered];
const [calm, busy] = [quiet, hammered].map((runs) => median(runs.map(({ seconds }) => seconds)));
const sameBytes = new Set(all.map(({ labels, weights }) => labels + weights)).size === 1;
const nobodyIn = all.every(
  ({ joined, gone, knocks }) => joined === 2 && gone === 0 && (knocks.answers ?? 0) === 0,
);
const lines = Math.max(...hammered.map((each) => each.lines.length));
const ok = sameBytes && nobodyIn && busy / calm <= SLOWER && lines <= 130;
const { answers: _, ...knocks } = hammered.at(-1)!.knocks;
const list = Object.entries(knocks).map(([kind, times]) => `${kind} ${times}`);
report({
  name: 'strangers',
  what: 'a run of MNIST with keys while peers without keys, with unknown ones, plain sockets and 200 idle connections knock at its port',
  asked: 'none gets past the handshake; not slowed by more than 10 %',
  measured: `knocks of the last run: ${list.join(', ')}; ${nobodyIn ? 'nobody got in' : 'SOMEBODY GOT IN'}, ${sameBytes ? 'the same' : 'OTHER'} bytes, ${busy.toFixed(2)} s against ${calm.toFixed(2)} s quiet (${(100 * (busy / calm - 1)).toFixed(1)} %, medians of ${rounds}); at most ${lines} lines in the log`,
  ok,
});
