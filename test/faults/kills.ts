// SIGKILL of workers, a hundred times in one run: tsx test/faults/kills.ts [--seed N] [--kills N] [--epochs N]. About 3 minutes.

import { embedding, note, tempPath, train } from '../bench/dpmesh.ts';
import { eventsOf } from '../bench/processes.ts';
import { numberFlag, report, resultHash, seed, short } from './campaign.ts';
import { TASK_KINDS, trainWithKills } from './kill-workers.ts';

const targetKills = numberFlag('kills', short ? 15 : 100);
const epochs = numberFlag('epochs', short ? 200 : 1500);
const { data } = embedding('mnist');
// Several initial clusters, so that there is a k-means++ task to hit.
const quiet = await train({ data }, [
  '--no-early-stop',
  '--max-epochs',
  epochs,
  '--workers',
  4,
  '--init-k',
  3,
]);
const out = tempPath('killed');
const begun = performance.now();
const args = { data, workers: 4, earlyStop: false, maxEpochs: epochs, initK: 3 };
// A few extra, because some workers may have ended by themselves.
const { killed, tasks } = await trainWithKills(out, args, {
  kinds: TASK_KINDS,
  seed,
  kills: Math.ceil(1.05 * targetKills) + 2,
  pause: 400,
});
const wall = (performance.now() - begun) / 1000;
const seen = eventsOf(out).flatMap((event) => (event.type === 'epoch' ? [event.epoch] : []));
const repeated = seen.length - new Set(seen).size;
const same = resultHash(quiet.out) === resultHash(out);
const hit = Object.entries(tasks).map(([task, times]) => `${task} ${times}`);
note(`${killed} killed; tasks in progress: ${hit.join(', ')}`);
report({
  name: 'kills',
  what: 'SIGKILL of workers at seeded moments of a run of MNIST with 4 workers',
  target:
    '≥ 100 kills, every kind of task hit, labels and weights as in an undisturbed run, no epoch repeated',
  measured: `${killed} kills, ${same ? 'the same' : 'DIFFERENT'} bytes, ${repeated} epochs repeated, ${wall.toFixed(0)} s (undisturbed ${quiet.wall.toFixed(0)} s)`,
  ok: same && killed >= targetKills && repeated === 0 && TASK_KINDS.every((kind) => tasks[kind] > 0),
});
