// The short form of netns.ts: three network namespaces, a bad line, two cuts.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOfRun, easyData, epochOf, eventsOf, ofType, scratch, undisturbed } from '../e2e/support.ts';
import { badLine } from './bad-line.ts';
import { byHand } from './by-hand.ts';
import { connectPlaces, type Net } from './namespaces.ts';

let net: Net | null = null;
let reason = '';
try {
  net = connectPlaces(3);
} catch (error) {
  reason = `network namespaces are not allowed here (${(error as Error).message})`;
}

test('cut links and a bad line change nothing', { skip: net === null && reason }, async () => {
  const { within, address, link } = net!;
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 600);
  const flags = ['--no-early-stop', '--max-epochs', 24, '--split-merge-every', 3, '--heartbeat-timeout', 2];
  const [quiet, out, elsewhere] = ['quiet', 'run', 'elsewhere'].map((name) => join(folder, name));
  mkdirSync(elsewhere);
  const expected = await undisturbed(data, quiet, ...flags);
  const bind = { bind: `tcp://${address(0)}:5555`, within: within(0) };
  const { coordinator, over, worker } = await byHand(data, out, flags, bind);
  const places = [1, 2];
  const lines = await Promise.all(
    places.map((place) => badLine(within(place), `${address(0)}:5555`, place, 10)),
  );
  const workers = places.map((place, i) => worker(elsewhere, within(place), lines[i]));
  try {
    // One long enough to be taken for gone, then both workers at once.
    for (const [place, ms, epoch] of [
      [1, 2500, 1],
      [0, 1000, 3],
    ] as const) {
      while (epochOf(out) < epoch && !over()) await sleep(20);
      assert.ok(!over(), 'it ended before the cut');
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
  assert.ok(ofType(eventsOf(out), 'worker-gone').length >= 1, 'nobody was taken for gone');
  assert.deepEqual(bytesOfRun(out), expected);
});
