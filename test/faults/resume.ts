// The coordinator and its workers are killed at seeded moments of one run, which is resumed each time.
import { setTimeout as sleep } from 'node:timers/promises';
import { dpmesh, embedding, fresh, median } from '../../bench/dpmesh.ts';
import { start, until } from '../../bench/processes.ts';
import { checkpointsOf, eventsOf } from '../../bench/run-files.ts';
import { bytesOf, random, report, say, short } from './fault.ts';

const kills = short ? 3 : 20;
const { data } = embedding('mnist');
const flags = ['--workers', 2, '--no-early-stop', '--max-epochs', 150, '--checkpoint-every', 1];
const train = (out: string) => ['train', '--data', data, '--out', out, ...flags];

const quiet = fresh('quiet');
await dpmesh(train(quiet));
const expected = bytesOf(quiet);
const course = eventsOf(quiet).filter((event) => event.type === 'epoch' || event.type === 'start');
const longest = Math.max(
  ...course.slice(1).map((event, i) => (Date.parse(event.time) - Date.parse(course[i].time)) / 1000),
);
const length = (Date.parse(course.at(-1)!.time) - Date.parse(course[0].time)) / 1000;

const dir = fresh('killed');
let going = start(train(dir));
await until('a checkpoint', () => checkpointsOf(dir).length > 0);
/** Seconds of epochs that were computed a second time, by kill. */
const repeated: number[] = [];
let done = 0;
for (let left = kills; left > 0; left--) {
  const before = eventsOf(dir).length;
  await until('epochs', () =>
    eventsOf(dir)
      .slice(before)
      .some(({ type }) => type === 'epoch'),
  );
  // So that all kills together spread over the whole run.
  await sleep(((2 * length) / (kills + 1)) * random.uniform() * 1000);
  await going.killAll();
  const all = eventsOf(dir);
  if (all.some(({ type }) => type === 'done')) break;
  const epoch = all.findLast((event) => event.type === 'epoch');
  going = start(['resume', dir, '--workers', 1 + random.below(3), '--checkpoint-every', 1]);
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
  say(`kill ${done}: epoch ${epoch?.epoch ?? 0}, goes on from ${resumed.epoch}; ${lost.toFixed(2)} s again`);
}
const ended = await going.ended;
const same = ended.code === 0 && bytesOf(dir) === expected;
const most = Math.max(...repeated);
report({
  name: 'resume',
  what: 'SIGKILL of coordinator and workers at seeded moments of one run of MNIST, resumed each time with 1 to 3 workers, `--checkpoint-every 1`',
  asked: `${kills} kills, the same bytes, at most 1 s and an epoch repeated`,
  measured: `${done} kills, ${same ? 'the same bytes' : `OTHER BYTES (exit ${ended.code})`}, repeated ${median(repeated).toFixed(2)} s (median), ${most.toFixed(2)} s (most)`,
  ok: same && done === kills && most <= 1 + longest,
});
