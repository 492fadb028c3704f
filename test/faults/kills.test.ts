// The short form of kills.ts: workers die in every kind of task, and the results stay the same.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  easyData,
  eventsOf,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  undisturbedHashes,
} from '../e2e/support.ts';
import { TASK_KINDS, trainWithKills } from './kill-workers.ts';

test('workers killed in every kind of task: the same bytes, no epoch repeated', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 60_000);
  const [quiet, out] = ['quiet', 'killed'].map((name) => join(folder, name));
  const flags = ['--init-k', 3, '--no-early-stop', '--max-epochs', 30, ...QUICK];
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const args = {
    ...{ data, workers: 3 },
    ...{ earlyStop: false, maxEpochs: 30, initK: 3, splitMergeEvery: 3, batchSize: 16 },
  };
  const { killed, tasks } = await trainWithKills(out, args, { seed: 1, kills: 10, pause: 300 });
  assert.deepEqual(resultHashes(out), expected);
  assert.ok(killed >= 5, `${killed} kills`);
  assert.deepEqual(Object.keys(tasks).sort(), [...TASK_KINDS].sort(), JSON.stringify(tasks));
  const epochs = ofType(eventsOf(out), 'epoch').map(({ epoch }) => epoch);
  assert.equal(new Set(epochs).size, epochs.length);
});
