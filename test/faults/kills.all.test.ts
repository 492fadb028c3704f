// The short form of kills.ts: workers die in every kind of task, and the results stay the same.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  easyData,
  embeddedData,
  eventsOf,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  undisturbedHashes,
} from '../e2e/support.ts';
import { FURTHER_KINDS, GRAPH_KINDS, TASK_KINDS, trainWithKills } from './kill-workers.ts';

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
  const { killed, tasks } = await trainWithKills(out, args, {
    kinds: TASK_KINDS,
    seed: 1,
    kills: 10,
    pause: 300,
  });
  assert.deepEqual(resultHashes(out), expected);
  assert.ok(killed >= 5, `${killed} kills`);
  assert.deepEqual(Object.keys(tasks).sort(), [...TASK_KINDS].sort(), JSON.stringify(tasks));
  const epochs = ofType(eventsOf(out), 'epoch').map(({ epoch }) => epoch);
  assert.equal(new Set(epochs).size, epochs.length);
});

test('workers killed while outliers are set apart, in replicates and in statistics of flat clusters: the same bytes', async () => {
  const folder = scratch();
  let row = 0;
  // Five rows far off, and a fourth column that is nearly the sum of the others.
  const { data } = easyData(folder, 'odd', 20_000, (x) => {
    const scale = row % 4000 === 0 ? 1e4 : 1;
    return [...x, x[0] + x[1] + x[2] + 3e-4 * Math.sin(row++)].map((value) => scale * value);
  });
  const [quiet, out] = ['quiet', 'killed'].map((name) => join(folder, name));
  const flags = ['--replicates', 2, '--max-epochs', 20, ...QUICK];
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const args = { data, workers: 3, maxEpochs: 20, replicates: 2, splitMergeEvery: 3, batchSize: 16 };
  const { killed, tasks } = await trainWithKills(out, args, {
    kinds: FURTHER_KINDS,
    seed: 2,
    kills: 3,
    pause: 300,
  });
  for (const kind of FURTHER_KINDS) assert.ok(tasks[kind] > 0, `${kind}: ${JSON.stringify(tasks)}`);
  assert.ok(killed >= FURTHER_KINDS.length, `${killed} kills`);
  assert.deepEqual(resultHashes(out), expected);
  const [before, after] = [quiet, out].map((run) => ofType(eventsOf(run), 'done')[0]);
  assert.deepEqual(after.replicates, before.replicates);
  assert.equal(after.outliers, 5);
});

test('workers killed in every task of the graph likelihood: the same bytes', async () => {
  const folder = scratch();
  const { data } = embeddedData(folder, 'embedded', 4000);
  const [quiet, out] = ['quiet', 'killed'].map((name) => join(folder, name));
  const flags = ['--no-early-stop', '--max-epochs', 20, ...QUICK];
  const expected = await undisturbedHashes(data, quiet, ...flags);
  const args = { data, workers: 3, earlyStop: false, maxEpochs: 20, splitMergeEvery: 3, batchSize: 16 };
  const { killed, tasks } = await trainWithKills(out, args, {
    kinds: GRAPH_KINDS,
    seed: 3,
    kills: 12,
    pause: 300,
  });
  for (const kind of GRAPH_KINDS) assert.ok(tasks[kind] > 0, `${kind}: ${JSON.stringify(tasks)}`);
  assert.ok(killed >= 5, `${killed} kills`);
  assert.deepEqual(resultHashes(out), expected);
  assert.equal(ofType(eventsOf(out), 'likelihood')[0].likelihood, 'graph');
});
