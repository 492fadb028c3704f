// A long run with workers that keep leaving and joining: tsx test/faults/soak.ts [--seed N] [--minutes N]. Linux: reads /proc.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedding, median, tempPath } from '../bench/dpmesh.ts';
import { eventsOf } from '../bench/processes.ts';
import { log, numberFlag, report, seed, short, skip } from './campaign.ts';
import { startCluster } from './manual-cluster.ts';

const CHANGE_MS = 5000;
/** Until then code is loaded and compiled, on a busy machine for most of a short run: that is no leak. */
const WARM_EPOCHS = 100;
const minutes = numberFlag('minutes', short ? 0.5 : 20);
const about = {
  name: 'soak',
  what: `${minutes} min of rounds; every 5 s one of two workers gets SIGTERM and is started again, a third one stays`,
  target: 'memory of each process grows ≤ 5 % after the first quarter, no handle leak',
};
if (!existsSync('/proc/self/fd')) skip(about, 'there is no /proc');

interface ResourceUse {
  /** Resident KiB. */
  memory: number;
  handles: number;
}

function resourceUse(pid: number): ResourceUse {
  const memory = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  return { memory, handles: readdirSync(`/proc/${pid}/fd`).length };
}

const out = tempPath('run');
const endless = ['--no-early-stop', '--max-epochs', 1_000_000, '--seed', seed];
const { coordinator, over, worker } = await startCluster(embedding('mnist').data, out, endless);
const join = () => worker('/');
const stays = join();
const changing = [join(), join()];
const watched = { coordinator: coordinator.pid, worker: stays.pid };
const samples: Record<string, ResourceUse[]> = { coordinator: [], worker: [] };
const unclean: (number | null)[] = [];
let changes = 0;
const epochs = () => eventsOf(out).filter(({ type }) => type === 'epoch').length;
while (!over() && epochs() < WARM_EPOCHS) await sleep(500);
const begun = performance.now();
let next = begun + CHANGE_MS;
while (performance.now() - begun < minutes * 60_000 && !over()) {
  await sleep(500);
  for (const [name, pid] of Object.entries(watched)) samples[name].push(resourceUse(pid));
  const i = changes % 2;
  // On a busy machine a start can take longer than that; a worker handles signals only once it has joined.
  if (performance.now() < next || !changing[i].stderr().includes('joined as')) continue;
  next = Math.max(next + CHANGE_MS, performance.now());
  changes++;
  process.kill(changing[i].pid, 'SIGTERM');
  void changing[i].ended.then(({ code }) => {
    if (code !== 0) unclean.push(code);
  });
  changing[i] = join();
  if (changes % 12 === 0)
    log(
      Object.values(samples)
        .map((all) => JSON.stringify(all.at(-1)))
        .join(' '),
    );
}
const early = over();
process.kill(coordinator.pid, 'SIGINT');
const { stderr } = await coordinator.ended;
if (early) throw new Error(`the coordinator ended by itself: ${stderr.trim().split('\n').at(-1)}`);

/** Medians of the second and the last quarter of the time; medians, because garbage collection adds noise. */
function growth(name: string, of: (sample: ResourceUse) => number) {
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
    // In a short time a single garbage collection matters as much as 20 minutes of growth may.
    // A leak of one handle per restart would give dozens; one more connection at that moment is not a leak.
    ok: grown <= (short ? 0.2 : 0.05) && handles.to <= handles.from + 2,
    text: `${name} ${mib(memory.from)} → ${mib(memory.to)} MiB (${(100 * grown).toFixed(1)} %), ${handles.from} → ${handles.to} handles`,
  };
});
const events = eventsOf(out);
const count = (type: string) => events.filter((event) => event.type === type).length;
report({
  ...about,
  measured: `${figures.map(({ text }) => text).join('; ')} (second quarter → last one); ${count('epoch')} epochs, ${changes} changes, ${count('worker')} joined${unclean.length ? `, ${unclean.length} EXITED WITH ${unclean}` : ''}`,
  ok: figures.every(({ ok }) => ok) && unclean.length === 0,
});
for (const each of [stays, ...changing]) await each.killAll();
