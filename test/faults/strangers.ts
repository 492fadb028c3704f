// tsx test/faults/strangers.ts [--seed N] [--rounds N]: a run with keys while peers without keys, with
// unknown ones, plain sockets and idle connections hammer its port, against quiet runs. Prints one JSON line.
import { embedding, fresh, median, note } from '../../bench/dpmesh.ts';
import { cpuOf } from '../../bench/machine.ts';
import { eventsOf } from '../../bench/run-files.ts';
import { byHand } from './by-hand.ts';
import { bytesOf, numberFlag, report, seed, short } from './fault.ts';
import { startCrowd } from './knocking.ts';

const SLOWER = 1.1;
/** Some ten seconds: of a short run its start, which the crowd's own takes part in, is a large part. */
const LONGER = ['--no-early-stop', '--max-epochs', 400];
const rounds = numberFlag('rounds', short ? 1 : 3);
const { data } = embedding('mnist');

/** One whole run of a coordinator and two workers with keys, from the start of its first epoch to its end. */
async function run(hammered: boolean) {
  const out = fresh('run');
  const { coordinator, address, serverKey, worker } = await byHand(data, out, [
    ...LONGER,
    '--seed',
    seed,
    '--json',
  ]);
  // The crowd is there before the workers are.
  const crowd = hammered ? await startCrowd(address, serverKey, seed) : null;
  const workers = [0, 1].map(() => worker('/'));
  const before = cpuOf(coordinator.pid)!;
  let spent = 0;
  const reading = setInterval(() => {
    spent = (cpuOf(coordinator.pid) ?? before + spent) - before;
  }, 50);
  const { code, stdout: summary, stderr: said } = await coordinator.ended;
  clearInterval(reading);
  crowd?.end();
  await Promise.all(workers.map((each) => each.killAll()));
  if (code !== 0) throw new Error(said);
  const seen = eventsOf(out);
  return {
    seconds: JSON.parse(summary).seconds as number,
    cpu: spent,
    bytes: bytesOf(out),
    joined: seen.filter(({ type }) => type === 'worker').length,
    gone: seen.filter(({ type }) => type === 'worker-gone').length,
    lines: said.split('\n').filter((line) => line.startsWith('refused')),
    knocks: crowd?.knocks(),
  };
}

const quiet = [];
const hammered = [];
for (let i = 0; i < rounds; i++) {
  quiet.push(await run(false));
  hammered.push(await run(true));
  const times = [quiet[i], hammered[i]].map(
    ({ seconds, cpu }) => `${seconds.toFixed(2)} s (coordinator's processor ${cpu.toFixed(2)} s)`,
  );
  note(`quiet ${times[0]}, hammered ${times[1]}`);
}
const all = [...quiet, ...hammered];
const both = [quiet, hammered];
const [calm, busy] = both.map((runs) => median(runs.map(({ seconds }) => seconds)));
const [calmCpu, busyCpu] = both.map((runs) => median(runs.map(({ cpu }) => cpu)));
const sameBytes = new Set(all.map(({ bytes }) => bytes)).size === 1;
const nobodyIn = all.every(({ joined, gone, knocks }) => joined === 2 && gone === 0 && !knocks?.answers);
const lines = Math.max(...hammered.map((each) => each.lines.length));
const ok = sameBytes && nobodyIn && busy / calm <= SLOWER && lines <= 130;
const { answers: _, seconds: lasted, idle, ...knocks } = hammered.at(-1)!.knocks!;
const rate = Object.values(knocks).reduce((sum, times) => sum + times, 0) / lasted;
const list = Object.entries(knocks).map(([kind, times]) => `${kind} ${times}`);
report({
  name: 'strangers',
  what: 'a run of MNIST with keys while peers without keys, with unknown ones, plain sockets and 200 idle connections knock at its port, 20 times a second, from a process of the lowest priority',
  asked: 'none gets past the handshake; not slowed by more than 10 %',
  measured: `last run: ${idle} connections left idle, ${rate.toFixed(0)} knocks a second (${list.join(', ')}); ${nobodyIn ? 'nobody got in' : 'SOMEBODY GOT IN'}, ${sameBytes ? 'the same' : 'OTHER'} bytes, ${busy.toFixed(2)} s against ${calm.toFixed(2)} s quiet (${(100 * (busy / calm - 1)).toFixed(1)} %, medians of ${rounds}); processor time of the coordinator ${busyCpu.toFixed(2)} s against ${calmCpu.toFixed(2)} s; at most ${lines} lines in the log`,
  ok,
});
