import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type ClusterCheckpoint, decodeCheckpoint } from '../../run/checkpoint.ts';
import {
  changedCopy,
  checkpointsOf,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  killedWhen,
  ofType,
  resultHashes,
  resumed,
  scratch,
  undisturbedHashes,
  unfinish,
} from './support.ts';

/** No step is before epoch 16; 240 clusters have too few of 20,000 rows. */
const [STEP, EPOCHS] = [16, 26];
const FLAGS = [
  ...['--init-k', 240, '--split-merge-every', STEP, '--freeze', 0, '--lr', 0.02],
  ...['--no-early-stop', '--max-epochs', EPOCHS, '--checkpoint-every', 0.1],
];
const folder = scratch();
const { data } = easyData(folder, 'many', 40_000);
const path = (name: string) => join(folder, name);
const newest = (run: string) =>
  decodeCheckpoint(readFileSync(join(run, 'checkpoints', checkpointsOf(run).at(-1)!))) as ClusterCheckpoint;

describe('a run whose sample grows', () => {
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(data, path('one'), ...FLAGS);
  });

  test('does so after the first step, to all rows', () => {
    const [start] = ofType(eventsOf(path('one')), 'start');
    assert.ok(start.sample < 21_000);
    const [step] = ofType(eventsOf(path('one')), 'step');
    assert.ok(step.epoch >= STEP && step.k > 210, JSON.stringify(step));
    const { sample } = newest(path('one')).state;
    assert.deepEqual([sample.below, sample.rows], [1, 40_000]);
  });

  const hasGrown = (run: string) => newest(run).state.sample.rows === 40_000;
  for (const [when, isThen] of [
    ['before', (run: string) => epochOf(run) >= STEP / 2],
    ['after', hasGrown],
  ] as const)
    test(`killed ${when} it has grown, resumes to the same bytes`, async () => {
      const run = path(`killed-${when}`);
      const isSaved = () => checkpointsOf(run).length > 0 && isThen(run);
      await killedWhen(`a checkpoint ${when} its growth`, isSaved, data, run, ...FLAGS);
      assert.equal(hasGrown(run), when === 'after');
      jsonOf(await resumed(run));
      assert.deepEqual(resultHashes(run), expected);
    });

  test('resumed when it only lacks its results, has the same bytes: its tree is that of the last sample', async () => {
    assert.ok(newest(path('one')).ended);
    const run = changedCopy(path('one'), path('one-again'), (at) =>
      unfinish(at, 'labels.npy', 'tree.json', 'model', 'mixture'),
    );
    jsonOf(await resumed(run, '--workers', 2));
    assert.deepEqual(resultHashes(run), expected);
  });
});
