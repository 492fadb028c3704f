// Kills the coordinator and its workers at seeded moments of one run, and resumes it each time.
import { setTimeout as sleep } from 'node:timers/promises';
import { dpmesh, embedding, median, tempPath } from '../bench/dpmesh.ts';
import { eventsOf, spawnDpmesh, until } from '../bench/processes.ts';
import { checkpointsOf } from '../e2e/run-files.ts';
import { log, random, report, resultHash, short } from './campaign.ts';

const kills = short ? 3 : 20;
const { data } = embedding('mnist');
const flags = ['--workers', 2, '--no-early-stop', '--max-epochs', 150, '--checkpoint-every', 1];
const train = (out: string) => ['train', '--data', data, '--out', out, ...flags];

const quiet = tempPath('quiet');
await dpmesh(train(quiet));
const expected = resultHash(quiet);
const epochs = eventsOf(quiet).filter((event) => event.type === 'epoch' || event.type === 'start');
const longest = Math.max(
  ...epochs.slice(1).map((event, i) => (Date.parse(event.time) - Date.parse(epochs[i].time)) / 1000),
);
const length = (Date.parse(epochs.at(-1)!.time) - Date.parse(epochs[0].time)) / 1000;

const dir = tempPath('killed');
let running = spawnDpmesh(train(dir));
await until('a checkpoint', () => checkpointsOf(dir).length > 0);
/** Seconds of epochs that had to be computed again, by kill. */
const repeated: number[] = [];
let done = 0;
for (let left = kills; left > 0; left--) {
  const before = eventsOf(dir).length;
  await until('epochs', () =>
    eventsOf(dir)
      .slice(before)
      .some(({ type }) => type === 'epoch'),
  );
  // Spreads the kills over the entire run.
  await sleep(((2 * length) / (kills + 1)) * random.uniform() * 1000);
  await running.killAll();
  const all = eventsOf(dir);
  if (all.some(({ type }) => type === 'done')) break;
  const epoch = all.findLast((event) => event.type === 'epoch');
  running = spawnDpmesh(['resume', dir, '--workers', 1 + random.below(3), '--checkpoint-every', 1]);
  await until('the resume', () =>
    eventsOf(dir)
      .slice(all.length)
      .some(({ type }) => type === 'resume'),
  );
  const resumed = eventsOf(dir)
    .slice(all.length)
    .find((event) => event.type === 'resume')!;
  const reached = all.findLast((event) => event.type === 'epoch' && event.epoch <= resumed.epoch);
  const since = all.findLast((event) => event.type === 'resume' || event.type === 'start')!;
  const from = Math.max(Date.parse((reached ?? since).time), Date.parse(since.time));
  const lost = epoch ? Math.max(0, Date.parse(epoch.time) - from) / 1000 : 0;
  repeated.push(lost);
  done++;
  log(
    `kill ${done}: epoch ${epoch?.epoch ?? 0}, resumes from ${resumed.epoch}; ${lost.toFixed(2)} s repeated`,
  );
}
const ended = await running.ended;
const same = ended.code === 0 && resultHash(dir) === expected;
const max = Math.max(...repeated);
report({
  name: 'resume',
  what: 'SIGKILL of all processes at seeded moments of such a run, resumed with 1 to 3 workers, `--checkpoint-every 1`',
  target: `${kills} kills, the same bytes, at most 1 s and one epoch repeated`,
  measured: `${done} kills, ${same ? 'the same bytes' : `DIFFERENT BYTES (exit ${ended.code})`}, repeated ${median(repeated).toFixed(2)} s (median), ${max.toFixed(2)} s (maximum)`,
  ok: same && done === kills && max <= 1 + longest,
});
