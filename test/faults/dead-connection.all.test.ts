// A connection that stays open but no longer transfers data, which the kernels at both ends do not notice.
import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer } from 'node:net';
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
import { startCluster } from './manual-cluster.ts';

test('a worker whose connection no longer transfers data reconnects', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 600);
  const flags = ['--no-early-stop', '--max-epochs', 60];
  const [quiet, out] = ['quiet', 'run'].map((name) => join(folder, name));
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const { coordinator, address, over, worker } = await startCluster(data, out, flags);
  let connections = 0;
  let dead = false;
  const proxy = createServer((near) => {
    connections++;
    const far = connect(Number(new URL(address).port), '127.0.0.1');
    // Only the first connection dies. The worker probes with a second one before it reconnects.
    const isAlive = connections > 1 ? () => true : () => !dead;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('data', (bytes) => void (isAlive() && to.write(bytes)));
      from.on('error', () => {}).on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const helper = worker(folder, [], `tcp://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  try {
    while (epochOf(out) < 3 && !over()) await sleep(5);
    dead = true;
    assert.ok(!over(), 'the run ended too early');
    const { code, stderr } = await coordinator.ended;
    assert.equal(code, 0, stderr);
  } finally {
    for (const each of [coordinator, helper]) await each.killAll();
    proxy.close();
  }
  assert.equal(ofType(eventsOf(out), 'worker').length, 2);
  assert.deepEqual(resultHashes(out), expected);
});
