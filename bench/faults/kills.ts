// SIGKILL of workers, a hundred times in one run: tsx bench/faults/kills.ts [--seed N] [--kills N] [--epochs N]
import type { Event } from '../../coordinator/events.ts';
import { generator } from '../../model/random.ts';
import { embedding, events, note, train, workerPids } from '../dpmesh.ts';
import { bytesOf, numberFlag, report, seed, short } from './fault.ts';

const wanted = numberFlag('kills', short ? 10 : 100);
const flags = ['--no-early-stop', '--max-epochs', numberFlag('epochs', short ? 200 : 1500), '--workers', 4];
const data = { data: embedding('mnist').data };
const quiet = await train(data, flags);
const rng = generator(BigInt(seed), 'kills');
const killed = new Set<number>();

/** Kills one that lives, of those that have joined. */
function kill(dir: string): void {
  const living = [...new Set(workerPids(dir))].filter((pid) => !killed.has(pid));
  if (!living.length) return;
  const pid = living[rng.below(living.length)];
  killed.add(pid);
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
let next = 0;
const run = await train(data, flags, {
  minutes: 15,
  watch(_, dir) {
    // A few more than asked for, some may have ended by then; not for ever, or starting workers is all that is done.
    if (killed.size >= 1.1 * wanted || performance.now() < next) return;
    if (!events(dir).some(({ type }) => type === 'epoch')) return;
    next = performance.now() + 200 + rng.below(500);
    kill(dir);
  },
});
const log = events(run.out);
const gone = log.filter(
  (event): event is Event & { type: 'worker-gone'; time: string } => event.type === 'worker-gone',
);
const tasks = new Map<string, number>();
for (const task of gone.flatMap(({ tasks }) => tasks)) tasks.set(task, (tasks.get(task) ?? 0) + 1);
const epochs = log.flatMap((event) => (event.type === 'epoch' ? [event.epoch] : []));
const repeated = epochs.length - new Set(epochs).size;
const same = bytesOf(quiet.out) === bytesOf(run.out);
const hit = [...tasks].map(([task, times]) => `${task} ${times}`).join(', ');
note(`${gone.length} killed; at work on ${hit}`);
const kinds = ['cluster-steps', 'sub-steps', 'statistics', 'cell-sums', 'cell-scatter'];
report({
  name: 'kills',
  what: 'SIGKILL of workers at seeded moments of one run of MNIST with 4 workers',
  asked: '≥ 100 kills, every kind of task hit, labels and weights as in the quiet run, no epoch repeated',
  measured: `${gone.length} kills (at work on ${hit}), ${same ? 'the same' : 'OTHER'} bytes, ${repeated} epochs repeated, ${run.wall.toFixed(0)} s (quiet ${quiet.wall.toFixed(0)} s)`,
  ok: same && gone.length >= wanted && repeated === 0 && kinds.every((kind) => tasks.has(kind)),
});
