// The short form of kills.ts: workers die in every kind of task, and the bytes stay.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOfRun, easyData, eventsOf, ofType, QUICK, scratch, undisturbed } from '../e2e/support.ts';
import { KINDS, trainKilled } from './killing.ts';

test('workers killed in every kind of task: the same bytes, no epoch twice', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 20_000);
  const [quiet, out] = ['quiet', 'killed'].map((name) => join(folder, name));
  const flags = ['--init-k', 3, '--no-early-stop', '--max-epochs', 30, ...QUICK];
  const expected = await undisturbed(data, quiet, ...flags);
  const args = {
    ...{ data, workers: 3 },
    ...{ earlyStop: false, maxEpochs: 30, initK: 3, splitMergeEvery: 3, batchSize: 16 },
  };
  const { killed, tasks } = await trainKilled(out, args, { seed: 1, kills: 10, pause: 300 });
  assert.deepEqual(bytesOfRun(out), expected);
  assert.ok(killed >= 5, `${killed} kills`);
  assert.deepEqual(Object.keys(tasks).sort(), [...KINDS].sort(), JSON.stringify(tasks));
  const epochs = ofType(eventsOf(out), 'epoch').map(({ epoch }) => epoch);
  assert.equal(new Set(epochs).size, epochs.length);
});
