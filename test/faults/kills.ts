// SIGKILL of workers, a hundred times in one run: tsx test/faults/kills.ts [--seed N] [--kills N] [--epochs N]. About 3 minutes.

import { embedding, fresh, note, train } from '../../bench/dpmesh.ts';
import { eventsOf } from '../../bench/run-files.ts';
import { bytesOf, numberFlag, report, seed, short } from './fault.ts';
import { KINDS, trainKilled } from './killing.ts';

const wanted = numberFlag('kills', short ? 15 : 100);
const epochs = numberFlag('epochs', short ? 200 : 1500);
const { data } = embedding('mnist');
// K-means++ for the first clusters, so that its task is there to be hit.
const quiet = await train({ data }, [
  '--no-early-stop',
  '--max-epochs',
  epochs,
  '--workers',
  4,
  '--init-k',
  3,
]);
const out = fresh('killed');
const begun = performance.now();
const args = { data, workers: 4, earlyStop: false, maxEpochs: epochs, initK: 3 };
// A few more than asked for: some may have ended by themselves.
const { killed, tasks } = await trainKilled(out, args, {
  seed,
  kills: Math.ceil(1.05 * wanted) + 2,
  pause: 400,
});
const wall = (performance.now() - begun) / 1000;
const seen = eventsOf(out).flatMap((event) => (event.type === 'epoch' ? [event.epoch] : []));
const repeated = seen.length - new Set(seen).size;
const same = bytesOf(quiet.out) === bytesOf(out);
const hit = Object.entries(tasks).map(([task, times]) => `${task} ${times}`);
note(`${killed} killed; at work on ${hit.join(', ')}`);
report({
  name: 'kills',
  what: 'SIGKILL of workers at seeded points (round, moment after it was dealt) of one run of MNIST with 4 workers',
  asked: '≥ 100 kills, every kind of task hit, labels and weights as in the quiet run, no epoch repeated',
  measured: `${killed} kills (at work on ${hit.join(', ')}), ${same ? 'the same' : 'OTHER'} bytes, ${repeated} epochs repeated, ${wall.toFixed(0)} s (quiet ${quiet.wall.toFixed(0)} s)`,
  ok: same && killed >= wanted && repeated === 0 && KINDS.every((kind) => tasks[kind] > 0),
});
