// The short form of strangers.ts: a whole run while strangers knock at its port all the time.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOfRun, easyData, eventsOf, ofType, scratch, undisturbed } from '../e2e/support.ts';
import { byHand } from './by-hand.ts';
import { startCrowd } from './knocking.ts';

test('a run with strangers at its door: none gets in, few lines, the same bytes', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 3000);
  const flags = ['--no-early-stop', '--max-epochs', 150, '--split-merge-every', 3];
  const [quiet, out] = ['quiet', 'run'].map((name) => join(folder, name));
  const expected = await undisturbed(data, quiet, ...flags);
  const { coordinator, address, serverKey, worker } = await byHand(data, out, flags);
  const crowd = await startCrowd(address, serverKey, 1);
  const workers = [0, 1].map(() => worker(folder));
  const { code, stderr } = await coordinator.ended;
  crowd.end();
  for (const each of workers) await each.killAll();
  assert.equal(code, 0, stderr);
  assert.deepEqual(bytesOfRun(out), expected);
  const events = eventsOf(out);
  assert.equal(ofType(events, 'worker').length, 2);
  assert.equal(ofType(events, 'worker-gone').length, 0);
  const { idle, answers, noKey, plain, unknownKey, wrongServer } = crowd.knocks();
  assert.equal(answers, 0);
  for (const [kind, times] of Object.entries({ idle, noKey, plain, unknownKey, wrongServer }))
    assert.ok(times >= 5, `${kind}: ${times}`);
  const refused = stderr.split('\n').filter((line) => line.startsWith('refused'));
  // Each unknown key is named once; the rest of them by powers of ten.
  assert.ok(refused.length > 3, stderr);
  assert.ok(refused.length <= unknownKey + 50, refused.join('\n'));
});
