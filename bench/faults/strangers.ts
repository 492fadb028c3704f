// tsx bench/faults/strangers.ts [--seed N] [--rounds N]: a run with keys while peers without keys, with
// unknown ones, plain sockets and idle connections hammer its port, against quiet runs. Prints one JSON line.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { embedding, events, fresh, median, note } from '../dpmesh.ts';
import { byHand } from './by-hand.ts';
import { bytesOf, numberFlag, report, seed, short } from './fault.ts';

const SLOWER = 1.1;
const rounds = numberFlag('rounds', short ? 1 : 3);
const { data } = embedding('mnist');

/** One whole run of a coordinator and two workers with keys, from the start of its first epoch to its end. */
async function run(hammered: boolean) {
  const out = fresh('run');
  const { coordinator, address, serverKey, worker } = await byHand(data, out, ['--seed', seed, '--json']);
  const crowd = hammered ? startCrowd(address, serverKey) : null;
  let knocks = '';
  if (crowd)
    crowd.stdout!.on('data', (text) => {
      knocks += text;
    });
  // The crowd is there before the workers are.
  if (crowd) while (!knocks) await sleep(10);
  const workers = [0, 1].map(() => worker('/'));
  const { code, stdout: summary, stderr: said } = await coordinator.ended;
  crowd?.kill('SIGTERM');
  await Promise.all(workers.map((each) => each.killAll()));
  if (code !== 0) throw new Error(said);
  const seen = events(out);
  return {
    seconds: JSON.parse(summary).seconds as number,
    bytes: bytesOf(out),
    joined: seen.filter(({ type }) => type === 'worker').length,
    gone: seen.filter(({ type }) => type === 'worker-gone').length,
    lines: said.split('\n').filter((line) => line.startsWith('refused')),
    knocks: knocks ? (JSON.parse(knocks.trim().split('\n').at(-1)!) as Record<string, number>) : {},
  };
}

/** Ends with this process. */
function startCrowd(address: string, serverKey: string): ChildProcess {
  const script = fileURLToPath(new URL('crowd.ts', import.meta.url));
  const args = ['--import', 'tsx', script, address, String(seed), serverKey];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
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
const sameBytes = new Set(all.map(({ bytes }) => bytes)).size === 1;
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
