// Kills relays, their workers and the coordinator at seeded moments of one run, and starts each again.
import { setTimeout as sleep } from 'node:timers/promises';
import { dpmesh, embedding, tempPath } from '../bench/dpmesh.ts';
import { eventsOf, freePort, type RunningProcess, spawnDpmesh, until } from '../bench/processes.ts';
import { checkpointsOf } from '../e2e/run-files.ts';
import { log, random, report, resultHash, short } from './campaign.ts';

const kills = short ? 4 : 30;
/** Epochs, ten for each kill. */
const flags = ['--no-early-stop', '--max-epochs', 40 + 10 * kills, '--checkpoint-every', 0, '--no-report'];
const { data } = embedding('mnist');

const quiet = tempPath('quiet');
await dpmesh(['train', '--data', data, '--out', quiet, '--workers', 2, ...flags]);

const run = tempPath('killed');
const [root, ...relays] = await Promise.all([0, 1, 2].map(async () => `tcp://127.0.0.1:${await freePort()}`));
const own = ['--bind', root, '--no-http'];
const patience = ['--reconnect-for', 120];
const relay = (i: number) =>
  spawnDpmesh(['relay', '--connect', root, '--bind', relays[i], '--name', `relay${i}`, ...patience]);
const worker = (i: number) =>
  spawnDpmesh(['worker', '--connect', relays[i % 2], '--data-root', '/', ...patience]);

let coordinator = spawnDpmesh(['coordinator', '--data', data, '--out', run, ...own, ...flags]);
const below: Record<string, { begin: (i: number) => RunningProcess; running: RunningProcess[] }> = {
  relay: { begin: relay, running: [0, 1].map(relay) },
  worker: { begin: worker, running: [0, 1, 2, 3].map(worker) },
};
await until('a checkpoint', () => checkpointsOf(run).length > 0, coordinator);
const done: Record<string, number> = { relay: 0, worker: 0, coordinator: 0 };
for (let kill = 0; kill < kills; kill++) {
  const before = eventsOf(run).length;
  const epochs = () =>
    eventsOf(run)
      .slice(before)
      .filter(({ type }) => type === 'epoch');
  await until('epochs', () => epochs().length > 1, coordinator);
  await sleep(100 * random.uniform());
  // Each of the three in turn.
  const kind = Object.keys(done)[kill % 3];
  done[kind]++;
  log(`kill ${kill + 1}: a ${kind} in epoch ${epochs().length}`);
  if (kind === 'coordinator') {
    await coordinator.killAll();
    coordinator = spawnDpmesh(['resume', run, ...own, '--checkpoint-every', 0]);
    continue;
  }
  const { begin, running } = below[kind];
  const i = random.below(running.length);
  await running[i].killAll();
  running[i] = begin(i);
}
const ended = await coordinator.ended;
const same = ended.code === 0 && resultHash(run) === resultHash(quiet);
const left = await Promise.all(
  Object.values(below).flatMap(({ running }) => running.map(({ ended }) => ended)),
);
const failed = left.filter(({ code }) => code !== 0);
for (const { stderr } of failed) log(stderr);
report({
  name: 'relays',
  what: 'SIGKILL of two relays, the four workers behind them, and the coordinator, in turn',
  target: `${kills} kills, the same bytes, all others end by themselves`,
  measured: `${Object.entries(done)
    .map(([kind, times]) => `${times} of a ${kind}`)
    .join(
      ', ',
    )}: ${same ? 'the same bytes' : `DIFFERENT BYTES (exit ${ended.code})`}${failed.length ? `, ${failed.length} ended with an error` : ''}`,
  ok: same && !failed.length,
});
