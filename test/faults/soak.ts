// A long run whose workers come and go: tsx test/faults/soak.ts [--seed N] [--minutes N]. Linux: reads /proc.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedding, fresh, median } from '../../bench/dpmesh.ts';
import { eventsOf } from '../../bench/run-files.ts';
import { byHand } from './by-hand.ts';
import { numberFlag, report, say, seed, short, skip } from './fault.ts';

const CHANGE_MS = 5000;
const minutes = numberFlag('minutes', short ? 1 : 20);
const about = {
  name: 'soak',
  what: `${minutes} min of rounds of MNIST; of two workers started by hand one is ended by SIGTERM and started again every 5 s, a third one stays`,
  asked: 'memory of each process grows ≤ 5 % after the first quarter, no handle leak',
};
if (!existsSync('/proc/self/fd')) skip(about, 'there is no /proc');

interface Sample {
  /** Resident KiB. */
  memory: number;
  handles: number;
}

function sample(pid: number): Sample {
  const memory = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  return { memory, handles: readdirSync(`/proc/${pid}/fd`).length };
}

const out = fresh('run');
const endless = ['--no-early-stop', '--max-epochs', 1_000_000, '--seed', seed];
const { coordinator, over, worker } = await byHand(embedding('mnist').data, out, endless);
const join = () => worker('/');
const stays = join();
const changing = [join(), join()];
const watched = { coordinator: coordinator.pid, worker: stays.pid };
const samples: Record<string, Sample[]> = { coordinator: [], worker: [] };
const unclean: (number | null)[] = [];
let changes = 0;
const begun = performance.now();
let next = begun + CHANGE_MS;
while (performance.now() - begun < minutes * 60_000 && !over()) {
  await sleep(500);
  for (const [name, pid] of Object.entries(watched)) samples[name].push(sample(pid));
  const i = changes % 2;
  // On a busy machine a start takes longer than that, and until it has joined a worker hears no signal.
  if (performance.now() < next || !changing[i].stderr().includes('joined as')) continue;
  next = Math.max(next + CHANGE_MS, performance.now());
  changes++;
  process.kill(changing[i].pid, 'SIGTERM');
  void changing[i].ended.then(({ code }) => {
    if (code !== 0) unclean.push(code);
  });
  changing[i] = join();
  if (changes % 12 === 0)
    say(
      Object.values(samples)
        .map((all) => JSON.stringify(all.at(-1)))
        .join(' '),
    );
}
const early = over();
process.kill(coordinator.pid, 'SIGINT');
const { stderr } = await coordinator.ended;
if (early) throw new Error(`the coordinator ended by itself: ${stderr.trim().split('\n').at(-1)}`);

/** From the second quarter of the time to the last one; medians, as the collector of garbage comes and goes. */
function growth(name: string, of: (sample: Sample) => number) {
  const all = samples[name].map(of);
  const quarter = Math.floor(all.length / 4);
  return { from: median(all.slice(quarter, 2 * quarter)), to: median(all.slice(-quarter)) };
}
const figures = Object.keys(watched).map((name) => {
  const memory = growth(name, (sample) => sample.memory);
  const handles = growth(name, (sample) => sample.handles);
  const grown = memory.to / memory.from - 1;
  const mib = (kib: number) => (kib / 1024).toFixed(0);
  return {
    // A handle lost by each change would be dozens; one connection more at that moment is none.
    ok: grown <= 0.05 && handles.to <= handles.from + 2,
    text: `${name} ${mib(memory.from)} → ${mib(memory.to)} MiB (${(100 * grown).toFixed(1)} %), ${handles.from} → ${handles.to} handles`,
  };
});
const log = eventsOf(out);
const count = (type: string) => log.filter((event) => event.type === type).length;
report({
  ...about,
  measured: `${figures.map(({ text }) => text).join('; ')} (second quarter → last one); ${count('epoch')} epochs, ${changes} changes, ${count('worker')} joined${unclean.length ? `, ${unclean.length} ENDED WITH ${unclean}` : ''}`,
  ok: figures.every(({ ok }) => ok) && unclean.length === 0,
});
for (const each of [stays, ...changing]) await each.killAll();
