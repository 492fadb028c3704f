// Coordinator and two workers in separate network namespaces, connected by a bad network: tsx test/faults/netns.ts [--seed N].
// About 6 minutes.
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { dpmesh, note, synth, tempPath } from '../bench/dpmesh.ts';
import { eventsOf } from '../bench/processes.ts';
import { startBadLink } from './bad-link.ts';
import { numberFlag, random, report, resultHash, seed, short, skip } from './campaign.ts';
import { startCluster } from './manual-cluster.ts';
import { connectNamespaces, type VirtualNetwork } from './namespaces.ts';

const campaign = {
  name: 'netns',
  what: 'three network namespaces with keys; links cut for 1 to 20 s, delay 50 ± 20 ms, loss 5 %',
  target: 'the same bytes as an undisturbed run on one machine',
};

let net: VirtualNetwork;
try {
  net = connectNamespaces(3);
} catch (error) {
  skip(campaign, `network namespaces are not allowed here (${(error as Error).message})`);
}
const noNetem = net.impair('delay', '50ms', '20ms', 'loss', '5%');

// Enough for several cuts, because a bad network makes each epoch longer.
const epochs = numberFlag('epochs', short ? 18 : 90);
const { data } = await synth(6, 4000, 4, 1);
const flags = ['--no-early-stop', '--max-epochs', epochs, '--seed', seed];
const quiet = tempPath('quiet');
await dpmesh(['train', '--data', data, '--out', quiet, '--workers', 2, ...flags]);

const out = tempPath('run');
const { coordinator, over, worker } = await startCluster(data, out, flags, {
  bind: `tcp://${net.address(0)}:5555`,
  within: net.within(0),
});
const emptyRoot = tempPath('empty');
mkdirSync(emptyRoot);
// Without netem, a proxy imitates the bad link; the kernel makes the cuts in either case.
const proxies =
  noNetem === null
    ? []
    : await Promise.all(
        [1, 2].map((place) => startBadLink(net.within(place), `${net.address(0)}:5555`, seed + place)),
      );
const workers = [1, 2].map((place, i) => worker(emptyRoot, net.within(place), proxies[i]));
const cuts: number[] = [];
const begun = performance.now();
while (!over()) {
  await sleep(200 + random.below(1500));
  if (over() || !eventsOf(out).some(({ type }) => type === 'start')) continue;
  if (performance.now() - begun > 12 * 60_000) break;
  // Namespace 0 has the coordinator: cutting its link cuts off both workers.
  const place = random.below(3);
  // Log-uniform in 1 to 20 s, which covers a pause, a silent worker and a connection that is given up.
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
const same = code === 0 && resultHash(out) === resultHash(quiet);
const events = eventsOf(out);
const count = (type: string) => events.filter((event) => event.type === type).length;
const cutRange = cuts.length ? `${Math.min(...cuts).toFixed(1)} to ${Math.max(...cuts).toFixed(1)} s` : '–';
const result = same ? 'the same bytes' : `DIFFERENT BYTES (exit ${code})`;
report({
  ...campaign,
  measured: `${cuts.length} cuts of ${cutRange}, a worker was considered gone ${count('worker-gone')} times; ${result}, ${wall.toFixed(0)} s${noNetem === null ? '' : `; without tc netem here (“${noNetem}”): delays, stalls and resets by a TCP proxy (test/faults/impair.ts), so the kernel's own TCP under loss is not tested`}`,
  ok: same && cuts.length > 0,
});
