// Coordinator and two workers in network namespaces of their own, over a bad network: tsx test/faults/netns.ts [--seed N].
// About 6 minutes.
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dpmesh, fresh, note, synth } from '../../bench/dpmesh.ts';
import { eventsOf } from '../../bench/run-files.ts';
import { badLine } from './bad-line.ts';
import { byHand } from './by-hand.ts';
import { bytesOf, numberFlag, random, report, seed, short, skip } from './fault.ts';
import { connectPlaces, type Net } from './namespaces.ts';

const about = {
  name: 'netns',
  what: 'coordinator and two workers in three network namespaces joined by veth and a bridge, keys, rows from the coordinator (4,000 × 4); links cut for 1 to 20 s; delay 50 ± 20 ms, loss 5 %',
  asked: 'the same bytes as a quiet run on one machine',
};

let net: Net;
try {
  net = connectPlaces(3);
} catch (error) {
  skip(about, `network namespaces are not allowed here (${(error as Error).message})`);
}
const noNetem = net.trouble('delay', '50ms', '20ms', 'loss', '5%');

// Enough for several cuts; a bad network makes each epoch longer.
const usual = 90;
const epochs = numberFlag('epochs', short ? usual / 5 : usual);
const { data } = await synth(6, 4000, 4, 1);
const flags = ['--no-early-stop', '--max-epochs', epochs, '--seed', seed];
const quiet = fresh('quiet');
await dpmesh(['train', '--data', data, '--out', quiet, '--workers', 2, ...flags]);

const out = fresh('run');
const { coordinator, over, worker } = await byHand(data, out, flags, {
  bind: `tcp://${net.address(0)}:5555`,
  within: net.within(0),
});
const elsewhere = fresh('elsewhere');
mkdirSync(elsewhere);
// Without netem a program passes all on as a bad line would; the cuts are the kernel's either way.
const there =
  noNetem === null
    ? []
    : await Promise.all(
        [1, 2].map((place) => badLine(net.within(place), `${net.address(0)}:5555`, seed + place)),
      );
const workers = [1, 2].map((place, i) => worker(elsewhere, net.within(place), there[i]));
const cuts: number[] = [];
const begun = performance.now();
while (!over()) {
  await sleep(200 + random.below(1500));
  if (over() || !eventsOf(out).some(({ type }) => type === 'start')) continue;
  if (performance.now() - begun > 12 * 60_000) break;
  // Place 0 is the coordinator: then both workers are cut off.
  const place = random.below(3);
  // Short ones and long ones alike: each end of 1 to 20 s is another case (a pause; silence; a connection given up).
  const ms = Math.round(1000 * 20 ** random.uniform());
  net.link(place, 'down');
  const until = performance.now() + ms;
  while (performance.now() < until && !over()) await sleep(50);
  net.link(place, 'up');
  cuts.push(ms / 1000);
  note(`${place ? `worker ${place}` : 'coordinator'} cut off for ${(ms / 1000).toFixed(1)} s`);
}
const wall = (performance.now() - begun) / 1000;
if (!over()) await coordinator.killAll();
const { code, stderr } = await coordinator.ended;
for (const each of workers) await each.killAll();
if (code !== 0) note(stderr.trim().split('\n').at(-1)!);
const same = code === 0 && bytesOf(out) === bytesOf(quiet);
const log = eventsOf(out);
const count = (type: string) => log.filter((event) => event.type === type).length;
const longest = cuts.length ? `${Math.min(...cuts).toFixed(1)} to ${Math.max(...cuts).toFixed(1)} s` : '–';
const result = same ? 'the same bytes' : `OTHER BYTES (exit ${code})`;
report({
  ...about,
  measured: `${cuts.length} cuts of ${longest}, ${count('worker-gone')} times a worker was taken for gone; ${result}, ${wall.toFixed(0)} s${noNetem === null ? '' : `; this kernel has no tc netem (“${noNetem}”): delay 50 ± 20 ms, stalls of lost segments (a round trip, or timeouts of 200 ms and more) and resets are made by a TCP proxy between worker and link (test/faults/impair.ts). So ZeroMQ and dpmesh are tested on such a line, the kernel's own TCP under loss is not`}`,
  ok: same && cuts.length > 0,
});
