// The short form of netns.ts: three network namespaces, a bad link, two cuts.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  easyData,
  epochOf,
  eventsOf,
  ofType,
  resultHashes,
  scratch,
  undisturbedHashes,
} from '../e2e/support.ts';
import { startBadLink } from './bad-link.ts';
import { startCluster } from './manual-cluster.ts';
import { connectNamespaces, type VirtualNetwork } from './namespaces.ts';

let net: VirtualNetwork | null = null;
let reason = '';
try {
  net = connectNamespaces(3);
} catch (error) {
  reason = `network namespaces are not allowed here (${(error as Error).message})`;
}

test('cut links and a bad link change nothing', { skip: net === null && reason }, async () => {
  const { within, address, link } = net!;
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 600);
  const flags = ['--no-early-stop', '--max-epochs', 24, '--split-merge-every', 3, '--heartbeat-timeout', 2];
  const [quiet, out, elsewhere] = ['quiet', 'run', 'elsewhere'].map((name) => join(folder, name));
  mkdirSync(elsewhere);
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const bind = { bind: `tcp://${address(0)}:5555`, within: within(0) };
  const { coordinator, over, worker } = await startCluster(data, out, flags, bind);
  const places = [1, 2];
  const lines = await Promise.all(
    places.map((place) => startBadLink(within(place), `${address(0)}:5555`, place, 10)),
  );
  const workers = places.map((place, i) => worker(elsewhere, within(place), lines[i]));
  try {
    // First one worker, long enough to be considered gone, then both.
    for (const [place, ms, epoch] of [
      [1, 2500, 1],
      [0, 1000, 3],
    ] as const) {
      while (epochOf(out) < epoch && !over()) await sleep(20);
      assert.ok(!over(), 'the run ended before the cut');
      link(place, 'down');
      await sleep(ms);
      link(place, 'up');
    }
    await coordinator.ended;
  } finally {
    for (const each of [coordinator, ...workers]) await each.killAll();
  }
  const { code, stderr } = await coordinator.ended;
  assert.equal(code, 0, stderr);
  assert.ok(ofType(eventsOf(out), 'worker-gone').length >= 1, 'no worker was considered gone');
  assert.deepEqual(resultHashes(out), expected);
});
