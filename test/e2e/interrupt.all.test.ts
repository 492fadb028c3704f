import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNpy } from '../../data/npy.ts';
import {
  assertNoneLeft,
  D,
  ENDLESS,
  easyData,
  eventsOf,
  ofType,
  patience,
  QUICK,
  type RunningProcess,
  scratch,
  start,
  startAndReach,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);

/** A run that would take hours, after some epochs. */
async function started(name: string): Promise<{ run: string; running: RunningProcess }> {
  const run = join(folder, name);
  return { run, running: await startAndReach(5, easy.data, run, ...ENDLESS, ...QUICK) };
}

/** Seconds from now to the end of the run. */
async function timed(running: RunningProcess) {
  const begun = performance.now();
  const ended = await running.ended;
  return { ...ended, took: (performance.now() - begun) / 1000 };
}

describe('an interrupted run', { concurrency: 2 }, () => {
  for (const [name, send] of [
    [
      'Ctrl-C, which all of its processes get',
      ({ pid }: RunningProcess) => void process.kill(-pid, 'SIGINT'),
    ],
    [
      // At any moment until it has ended.
      'npx, which passes on what all have got already',
      ({ pid, kill, ended }: RunningProcess) => {
        process.kill(-pid, 'SIGINT');
        const again = setInterval(kill, 2, 'SIGINT');
        ended.finally(() => clearInterval(again));
      },
    ],
    ['SIGTERM, which only the coordinator gets', ({ kill }: RunningProcess) => kill('SIGTERM')],
  ] as const)
    test(`${name}: ends it in an orderly way and leaves no process`, async () => {
      const { run, running } = await started(name.slice(0, 6));
      send(running);
      const { code, stderr, stdout, took } = await timed(running);
      await assertNoneLeft(running.pid);
      assert.equal(code, 130, stderr);
      assert.ok(took < patience(5), `${took} s`);
      assert.ok(stderr.includes(`stopped; everything written so far is in ${run};`), stderr);
      assert.doesNotMatch(stderr, /Error|gone/);
      assert.equal(stdout, '');
      assert.ok(!existsSync(join(run, 'labels.npy')));
      assert.ok(existsSync(join(run, 'run.json')));
      assert.equal(ofType(eventsOf(run), 'worker-gone').length, 0);
    });

  test('a signal at any moment of its start leaves no process', async () => {
    const signals = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const;
    for (let i = 0; i < 18; i++) {
      const [signal, moment] = [signals[i % 3], 60 + 25 * i];
      const run = join(folder, `started-${i}`);
      const running = start(trainArgs(easy.data, run, '--workers', 2, '--max-epochs', 1_000_000));
      await sleep(moment);
      if (signal === 'SIGINT') process.kill(-running.pid, signal);
      else running.kill(signal);
      const ended = await running.ended;
      await assertNoneLeft(running.pid, patience(5));
      assert.ok(ended.signal === signal || ended.code === 130, JSON.stringify(ended));
    }
  });

  test('synth leaves no temporary file, however many signals it gets', async () => {
    const out = mkdtempSync(join(folder, 'synth-'));
    const files = ['--out', join(out, 'x.npy'), '--labels', join(out, 'y.npy')];
    const running = start(['synth', ...files, '--points', 20_000_000]);
    await until('a draft', () => readdirSync(out).length > 0, running);
    const again = setInterval(running.kill, 2, 'SIGINT');
    const { signal } = await running.ended;
    clearInterval(again);
    assert.equal(signal, 'SIGINT');
    assert.deepEqual(readdirSync(out), []);
  });

  test('predict leaves no temporary file', async () => {
    const run = join(folder, 'predicted');
    await start(trainArgs(easy.data, run, '--max-epochs', 2, ...QUICK)).ended;
    const rows = join(folder, 'zeros.npy');
    const zeros = createNpy(rows, '<f4', [200_000_000, D]);
    zeros.finish();
    const out = mkdtempSync(join(folder, 'predict-'));
    const running = start(['predict', '--run', run, '--data', rows, '--out', join(out, 'y.npy')]);
    await until('a draft', () => readdirSync(out).length > 0, running);
    running.kill('SIGTERM');
    const { signal } = await running.ended;
    assert.equal(signal, 'SIGTERM');
    assert.deepEqual(readdirSync(out), []);
  });

  test('workers of a coordinator that was killed end by themselves', async () => {
    const { running } = await started('kill');
    running.kill('SIGKILL');
    const { signal } = await running.ended;
    assert.equal(signal, 'SIGKILL');
    await assertNoneLeft(running.pid, patience(5));
  });
});
