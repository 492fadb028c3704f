// Workers whose coordinator is gone, temporarily or permanently.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  assertNoneLeft,
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  undisturbedHashes,
  until,
} from '../e2e/support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 3000);
/** Enough for the run to last until both have joined the new coordinator. */
const EPOCHS = 250;
const FLAGS = ['--no-early-stop', '--max-epochs', EPOCHS, ...QUICK];

test('workers of a killed coordinator wait for the one that resumes: the same bytes', async () => {
  const expected = await undisturbedHashes(easy.data, join(folder, 'quiet'), ...FLAGS);
  const run = join(folder, 'orphaned');
  const flags = ['--checkpoint-every', 0, ...FLAGS];
  const { running: first, address } = await startCoordinator(easy.data, run, ...flags);
  const workers = ['one', 'two'].map((name) =>
    start(['worker', '--connect', address, '--name', name, '--data-root', folder, '--reconnect-for', 30]),
  );
  const joined = () => ofType(eventsOf(run), 'worker').length;
  await until('both workers, and epoch 8', () => joined() === 2 && epochOf(run) >= 8, first);
  first.kill('SIGKILL');
  await first.ended;
  await sleep(500);
  const json = jsonOf(await dpmesh(['resume', run, '--bind', address, '--json'], { grace: 1 }));
  assert.equal(json.epochs, EPOCHS);
  for (const worker of workers) {
    const { code, stderr } = await worker.ended;
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/joined as/g)?.length, 2, stderr);
    await assertNoneLeft(worker.pid);
  }
  assert.deepEqual(resultHashes(run), expected);
});

test('a worker without a coordinator gives up after --reconnect-for', async () => {
  const { code, stderr } = await dpmesh([
    ...['worker', '--connect', `tcp://127.0.0.1:${await freePort()}`, '--reconnect-for', 2],
  ]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /no message from tcp:\/\/127\.0\.0\.1:\d+ for 2 s/);
});
