// Workers of a run, and a run with its workers, are killed: the same bytes come out.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
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
const easy = easyData(folder, 'easy', 1000);
const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', EPOCHS, '--checkpoint-every', 0.2];

test('a worker that is killed, then all, then the run with its workers, which is resumed with another number of them: the same bytes', async () => {
  const [quiet, run] = ['quiet', 'run'].map((name) => join(folder, name));
  const expected = await undisturbedHashes(easy.data, quiet, ...FLAGS);
  const running = await startAndReach(5, easy.data, run, ...FLAGS);
  const workers = () => ofType(eventsOf(run), 'worker');
  await until('two workers', () => workers().length === 2, running);
  // One while the other lives on; then both, and the run waits for those that are started in their place.
  process.kill(workers()[0].pid!, 'SIGKILL');
  await until('a third', () => workers().length === 3, running);
  for (const { pid } of workers().slice(1)) process.kill(pid!, 'SIGKILL');
  await until('another two', () => workers().length === 5, running);
  const gone = ofType(eventsOf(run), 'worker-gone');
  assert.deepEqual(
    gone.map(({ reason }) => reason),
    Array(3).fill('killed by SIGKILL'),
  );
  const epoch = epochOf(run);
  await until('more epochs', () => epochOf(run) > epoch + 4, running);
  await running.killAll();
  assert.ok(epochOf(run) < EPOCHS);
  const json = jsonOf(await dpmesh(['resume', run, '--json', '--workers', 1]));
  assert.equal(json.epochs, EPOCHS);
  assert.deepEqual(json.evidence, runFileOf(quiet).result.evidence);
  assert.deepEqual(resultHashes(run), expected);
});
