// Workers of a run, and a run with its workers, are killed: the same bytes come out.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  resultHashes,
  runFileOf,
  scratch,
  startAndReach,
  undisturbedHashes,
  until,
} from './support.ts';

const EPOCHS = 40;
const folder = scratch();
const easy = easyData(folder, 'easy', 2000);
const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', EPOCHS, '--checkpoint-every', 0.2];

describe('the same bytes', { concurrency: 2 }, () => {
  let expected: string[];
  before(async () => {
    expected = await undisturbedHashes(easy.data, join(folder, 'quiet'), ...FLAGS);
  });

  test('by workers of which one is killed', async () => {
    const run = join(folder, 'worker');
    const running = await startAndReach(5, easy.data, run, ...FLAGS);
    await until('two workers', () => ofType(eventsOf(run), 'worker').length === 2, running);
    process.kill(ofType(eventsOf(run), 'worker')[0].pid!, 'SIGKILL');
    const json = jsonOf(await running.ended);
    const gone = ofType(eventsOf(run), 'worker-gone');
    assert.deepEqual(
      gone.map(({ reason }) => reason),
      ['killed by SIGKILL'],
    );
    assert.equal(json.epochs, EPOCHS);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('by a run that is killed with its workers, and resumed with another number of them', async () => {
    const run = join(folder, 'run');
    const running = await startAndReach(15, easy.data, run, ...FLAGS);
    await running.killAll();
    assert.ok(epochOf(run) < EPOCHS);
    const json = jsonOf(await dpmesh(['resume', run, '--json', '--workers', 1]));
    assert.equal(json.epochs, EPOCHS);
    assert.deepEqual(json.evidence, runFileOf(join(folder, 'quiet')).result.evidence);
    assert.deepEqual(resultHashes(run), expected);
  });
});
