// tsx test/faults/strangers.ts [--seed N] [--rounds N]: runs with keys while peers without keys or with unknown keys, plain
// sockets and idle connections hammer the port, compared with undisturbed runs. Prints one JSON line.
import { readFileSync } from 'node:fs';
import { embedding, median, note, tempPath } from '../bench/dpmesh.ts';
import { eventsOf } from '../bench/processes.ts';
import { numberFlag, report, resultHash, seed, short } from './campaign.ts';
import { startCluster } from './manual-cluster.ts';
import { startHostilePeers } from './start-hostile-peers.ts';

/** CPU seconds used by all threads of a process, in ticks of 10 ms in /proc; null if it has ended. */
function cpuSecondsOf(pid: number): number | null {
  try {
    // The name, field 2, may contain spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
}

const MAX_SLOWDOWN = 1.1;
/** About ten seconds. In a shorter run, the start of the hostile peers themselves would dominate. */
const RUN_FLAGS = ['--no-early-stop', '--max-epochs', 400];
const rounds = numberFlag('rounds', short ? 1 : 3);
const { data } = embedding('mnist');

/** A complete run of a coordinator and two workers with keys. `seconds` are those of its summary. */
async function run(hammered: boolean) {
  const out = tempPath('run');
  const { coordinator, address, serverKey, worker } = await startCluster(data, out, [
    ...RUN_FLAGS,
    '--seed',
    seed,
    '--json',
  ]);
  // Before the workers start.
  const peers = hammered ? await startHostilePeers(address, serverKey, seed) : null;
  const workers = [0, 1].map(() => worker('/'));
  const before = cpuSecondsOf(coordinator.pid)!;
  let cpu = 0;
  const reading = setInterval(() => {
    cpu = (cpuSecondsOf(coordinator.pid) ?? before + cpu) - before;
  }, 50);
  const { code, stdout: summary, stderr } = await coordinator.ended;
  clearInterval(reading);
  peers?.end();
  await Promise.all(workers.map((each) => each.killAll()));
  if (code !== 0) throw new Error(stderr);
  const events = eventsOf(out);
  return {
    seconds: JSON.parse(summary).seconds as number,
    cpu,
    bytes: resultHash(out),
    joined: events.filter(({ type }) => type === 'worker').length,
    gone: events.filter(({ type }) => type === 'worker-gone').length,
    lines: stderr.split('\n').filter((line) => /^(\S+Z )?refused/.test(line)),
    attempts: peers?.attempts(),
  };
}

const quiet = [];
const hammered = [];
for (let i = 0; i < rounds; i++) {
  quiet.push(await run(false));
  hammered.push(await run(true));
  const times = [quiet[i], hammered[i]].map(
    ({ seconds, cpu }) => `${seconds.toFixed(2)} s (coordinator CPU ${cpu.toFixed(2)} s)`,
  );
  note(`undisturbed ${times[0]}, hammered ${times[1]}`);
}
const all = [...quiet, ...hammered];
const both = [quiet, hammered];
const [calm, busy] = both.map((runs) => median(runs.map(({ seconds }) => seconds)));
const sameBytes = new Set(all.map(({ bytes }) => bytes)).size === 1;
const noneAccepted = all.every(
  ({ joined, gone, attempts }) => joined === 2 && gone === 0 && !attempts?.answers,
);
const lines = Math.max(...hammered.map((each) => each.lines.length));
const ok = sameBytes && noneAccepted && busy / calm <= MAX_SLOWDOWN && lines <= 130;
const { answers: _, seconds, idle, ...attempts } = hammered.at(-1)!.attempts!;
const list = Object.entries(attempts).map(([kind, times]) => `${kind} ${times}`);
note(`at the end, in ${seconds.toFixed(0)} s: ${idle} connections left idle; ${list.join(', ')}`);
report({
  name: 'strangers',
  what: 'a run with keys, while peers without keys or with unknown ones, plain sockets and 200 idle connections come 20 times per second',
  target: 'none passes the handshake; not slowed by more than 10 %',
  measured: `${noneAccepted ? 'none accepted' : 'SOME ACCEPTED'}, ${sameBytes ? 'the same' : 'DIFFERENT'} bytes, ${busy.toFixed(2)} s against ${calm.toFixed(2)} s undisturbed (${(100 * (busy / calm - 1)).toFixed(1)} %, medians of ${rounds}); at most ${lines} lines in the log`,
  ok,
});
