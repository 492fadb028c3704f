// The short form of strangers.ts: a complete run while peers without valid keys keep connecting to its port.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { easyData, eventsOf, ofType, resultHashes, scratch, undisturbedHashes } from '../e2e/support.ts';
import { startCluster } from './manual-cluster.ts';
import { startHostilePeers } from './start-hostile-peers.ts';

test('a run with hostile peers: none is accepted, few log lines, the same bytes', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 3000);
  const flags = ['--no-early-stop', '--max-epochs', 150, '--split-merge-every', 3];
  const [quiet, out] = ['quiet', 'run'].map((name) => join(folder, name));
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const { coordinator, address, serverKey, worker } = await startCluster(data, out, flags);
  const peers = await startHostilePeers(address, serverKey, 1);
  const workers = [0, 1].map(() => worker(folder));
  const { code, stderr } = await coordinator.ended;
  peers.end();
  for (const each of workers) await each.killAll();
  assert.equal(code, 0, stderr);
  assert.deepEqual(resultHashes(out), expected);
  const events = eventsOf(out);
  assert.equal(ofType(events, 'worker').length, 2);
  assert.equal(ofType(events, 'worker-gone').length, 0);
  const { idle, answers, noKey, plain, unknownKey, wrongServer } = peers.attempts();
  assert.equal(answers, 0);
  for (const [kind, times] of Object.entries({ idle, noKey, plain, unknownKey, wrongServer }))
    assert.ok(times >= 5, `${kind}: ${times}`);
  const refused = stderr.split('\n').filter((line) => /^(\S+Z )?refused/.test(line));
  // Each unknown key is logged once; repetitions at powers of ten.
  assert.ok(refused.length > 3, stderr);
  assert.ok(refused.length <= unknownKey + 50, refused.join('\n'));
});
