// Coordinator and two workers in separate network namespaces, connected by a bad network.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomNumbers } from '../coordinator/fit/support.ts';
import { easyData, eventsOf, ofType, resultHashes, scratch, undisturbedHashes } from '../e2e/support.ts';
import { startBadLink } from './bad-link.ts';
import { startCluster } from './manual-cluster.ts';
import { connectNamespaces, type VirtualNetwork } from './namespaces.ts';

const folder = scratch();
let net: VirtualNetwork | null = null;
let skip: string | false = false;
try {
  net = connectNamespaces(3);
} catch (error) {
  skip = `network namespaces are not allowed here (${(error as Error).message})`;
}

test('links with keys that are cut for 1 to 20 s, delay by 50 ± 20 ms and lose 5 %: the same bytes', {
  skip,
}, async (context) => {
  const { impair, within, address, link } = net!;
  const seed = 0;
  const random = randomNumbers(seed);
  const noNetem = impair('delay', '50ms', '20ms', 'loss', '5%');
  if (noNetem)
    context.diagnostic(`without tc netem (“${noNetem}”): delays, stalls and resets are those of a TCP proxy`);
  const { data } = easyData(folder, 'easy', 4000);
  // Enough for several cuts, because a bad network makes each epoch longer.
  const flags = ['--no-early-stop', '--max-epochs', 18];
  const expected = await undisturbedHashes(data, join(folder, 'quiet'), ...flags);

  const out = join(folder, 'run');
  const bind = `tcp://${address(0)}:5555`;
  const { coordinator, over, worker } = await startCluster(data, out, flags, { bind, within: within(0) });
  const emptyRoot = join(folder, 'empty');
  mkdirSync(emptyRoot);
  // Without netem, a proxy imitates the bad link; the kernel makes the cuts in either case.
  const proxies = noNetem
    ? await Promise.all(
        [1, 2].map((place) => startBadLink(within(place), `${address(0)}:5555`, seed + place)),
      )
    : [];
  const workers = [1, 2].map((place, i) => worker(emptyRoot, within(place), proxies[i]));
  let cuts = 0;
  while (!over()) {
    await sleep(200 + random.below(1500));
    if (over() || !ofType(eventsOf(out), 'start').length) continue;
    // Namespace 0 has the coordinator: cutting its link cuts off both workers.
    const place = random.below(3);
    // Log-uniform in 1 to 20 s, which covers a pause, a silent worker and a connection that is given up.
    const until = performance.now() + 1000 * 20 ** random.uniform();
    link(place, 'down');
    while (performance.now() < until && !over()) await sleep(50);
    link(place, 'up');
    cuts++;
  }
  const { code, stderr } = await coordinator.ended;
  for (const each of workers) await each.killAll();
  assert.equal(code, 0, stderr);
  assert.deepEqual(resultHashes(out), expected);
  assert.ok(cuts > 0);
});
