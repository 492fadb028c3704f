// A connection that stands and carries nothing any more: to the kernels at both ends it looks well.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOfRun, easyData, epochOf, eventsOf, ofType, scratch, undisturbed } from '../e2e/support.ts';
import { byHand } from './by-hand.ts';

test('a worker whose connection carries nothing any more makes a new one', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 600);
  const flags = ['--no-early-stop', '--max-epochs', 60];
  const [quiet, out] = ['quiet', 'run'].map((name) => join(folder, name));
  const expected = await undisturbed(data, quiet, ...flags);
  const { coordinator, address, over, worker } = await byHand(data, out, flags);
  let connections = 0;
  let dead = false;
  const line = createServer((near) => {
    connections++;
    const far = connect(Number(new URL(address).port), '127.0.0.1');
    // The first one is what dies. The worker looks by another one who is there, before it makes its own anew.
    const carries = connections > 1 ? () => true : () => !dead;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('data', (bytes) => void (carries() && to.write(bytes)));
      from.on('error', () => {}).on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const helper = worker(folder, [], `tcp://127.0.0.1:${(line.address() as AddressInfo).port}`);
  try {
    while (epochOf(out) < 3 && !over()) await sleep(5);
    dead = true;
    assert.ok(!over(), 'it ended too soon');
    const { code, stderr } = await coordinator.ended;
    assert.equal(code, 0, stderr);
  } finally {
    for (const each of [coordinator, helper]) await each.killAll();
    line.close();
  }
  assert.equal(ofType(eventsOf(out), 'worker').length, 2);
  assert.deepEqual(bytesOfRun(out), expected);
});
