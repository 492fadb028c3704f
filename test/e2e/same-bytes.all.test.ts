import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  assertNoneLeft,
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  K,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  trainArgs,
  until,
} from './support.ts';

const EPOCHS = 60;
const folder = scratch();
const easy = easyData(folder, 'easy', 2000);
/** Long enough for workers to leave and join. */
const FLAGS = [...QUICK, '--no-early-stop', '--max-epochs', EPOCHS];
const path = (name: string) => join(folder, name);

describe('the same bytes', { concurrency: 2 }, () => {
  let expected: string[];
  before(async () => {
    const run = path('one');
    const json = jsonOf(await dpmesh(trainArgs(easy.data, run, '--workers', 1, ...FLAGS)));
    assert.deepEqual([json.k, json.epochs], [K, EPOCHS]);
    expected = resultHashes(run);
  });

  for (const [name, ...flags] of [
    ['three workers', '--workers', 3],
    ['two workers without shared files', '--workers', 2, '--no-shared-files'],
  ] as const)
    test(`by ${name}`, async () => {
      const run = path(name);
      const json = jsonOf(await dpmesh(trainArgs(easy.data, run, ...flags, ...FLAGS)));
      assert.equal(json.workers, flags[1]);
      assert.deepEqual(ofType(eventsOf(run), 'done')[0].rowsRead, 2 * 2000);
      assert.deepEqual(resultHashes(run), expected);
    });

  test('by workers that are killed during the run', async () => {
    const run = path('killed');
    const running = start(trainArgs(easy.data, run, '--workers', 3, ...FLAGS));
    const killed = new Set<number>();
    const alive = () => {
      const gone = new Set(ofType(eventsOf(run), 'worker-gone').map(({ pid }) => pid));
      return ofType(eventsOf(run), 'worker')
        .map(({ pid }) => pid)
        .filter((pid) => !gone.has(pid) && !killed.has(pid));
    };
    const kill = (pids: number[]) => {
      for (const pid of pids) {
        process.kill(pid, 'SIGKILL');
        killed.add(pid);
      }
    };
    // One, then two at once, then all: the run waits for the next one to join.
    for (const [epoch, there, count] of [
      // All have to be there before the first is killed: they may join after some epochs.
      [5, 3, 1],
      [10, 2, 2],
      [15, 1, 99],
    ]) {
      const isReady = () => epochOf(run) >= epoch && alive().length >= there;
      await until(`epoch ${epoch} with ${there} workers`, isReady, running);
      kill(alive().slice(0, count));
    }
    const json = jsonOf(await running.ended);
    await assertNoneLeft(running.pid);
    const events = eventsOf(run);
    const gone = ofType(events, 'worker-gone');
    assert.deepEqual(new Set(gone.map(({ pid }) => pid)), killed);
    for (const { reason } of gone) assert.equal(reason, 'killed by SIGKILL');
    assert.ok(killed.size >= 4);
    const joins = ofType(events, 'worker');
    assert.ok(joins.length > 3, 'new workers joined');
    assert.equal(json.workers, 3);
    const first = events.indexOf(gone[0]);
    assert.ok(
      events.slice(first).some(({ type }) => type === 'worker'),
      'after the first was killed',
    );
    assert.equal(json.epochs, EPOCHS);
    assert.deepEqual(resultHashes(run), expected);
  });

  test('by a coordinator and workers started separately, one late, one leaving early', async () => {
    const run = path('by-hand');
    const { running: coordinator, address } = await startCoordinator(easy.data, run, ...FLAGS);
    const workerOf = (name: string, root: string) =>
      start(['worker', '--connect', address, '--name', name, '--data-root', root], { cwd: folder });
    const work = (name: string) => {
      const events = eventsOf(run);
      const id = ofType(events, 'worker').find((event) => event.name === name)?.worker ?? '';
      return ofType(events, 'epoch').filter(({ workers }) => workers[id] > 0).length;
    };
    const early = workerOf('early', folder);
    await until('epoch 5', () => epochOf(run) >= 5, coordinator);
    // The coordinator waits for it. It does not have the data, so the rows come from the coordinator.
    coordinator.kill('SIGSTOP');
    const late = workerOf('late', run);
    await until('the late one', () => late.stderr().includes('connecting to'), late);
    coordinator.kill('SIGCONT');
    await until('work of the late one', () => work('late') > 3, coordinator);
    early.kill('SIGTERM');
    const [json, first, second] = [jsonOf(await coordinator.ended), await early.ended, await late.ended];
    for (const { pid } of [coordinator, early, late]) await assertNoneLeft(pid);
    assert.deepEqual([first.code, second.code], [0, 0]);
    assert.equal(json.workers, 2);
    assert.match(first.stderr, /joined as w1; rows come from .*easy\.npy/);
    assert.match(second.stderr, /joined as w2; rows come from the coordinator/);
    const [gone, ...others] = ofType(eventsOf(run), 'worker-gone');
    assert.deepEqual([gone?.worker, gone?.reason, others.length], ['w1', 'said goodbye', 0]);
    assert.deepEqual(resultHashes(run), expected);
  });
});

const shared = fileURLToPath(new URL('../../../shared/data/', import.meta.url));
const [usps, classes] = ['umap10', 'labels'].map((name) => join(shared, `usps_${name}.npy`));
test('USPS: K is 10 or 11 and ACC at least .955', {
  skip: !existsSync(usps) && `there is no ${usps}`,
}, async () => {
  const json = jsonOf(await dpmesh(trainArgs(usps, path('usps'), '--labels', classes, '--workers', 2)));
  assert.ok(json.k === 10 || json.k === 11, `K ${json.k}`);
  assert.ok(json.acc >= 0.955, `ACC ${json.acc}`);
});
