// Data with many columns: whatever the coordinator computes, it answers.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generator } from '../../model/random.ts';
import {
  assertNoneLeft,
  eventsOf,
  jsonOf,
  ofType,
  pageUrlOf,
  patience,
  type RunningProcess,
  scratch,
  start,
  times,
  trainArgs,
  writeRows,
} from './support.ts';

const folder = scratch();

/** Three blobs around the corners of a simplex. */
function wideData(points: number, dim: number): string {
  const { normal } = generator(1n, 'wide');
  const row = (i: number) => times(dim, (column) => normal() + (column === i % 3 ? 20 : 0));
  return writeRows(join(folder, `${points}x${dim}.npy`), times(points, row));
}

/** Asks for /healthz until the run has ended. Returns the longest that an answer took, s, and their number. */
async function watchHealth(running: RunningProcess) {
  const url = `${await pageUrlOf(running)}healthz`;
  let over = false;
  void running.ended.then(() => {
    over = true;
  });
  let [longest, answers] = [0, 0];
  while (!over) {
    const asked = performance.now();
    const status = await fetch(url, { signal: AbortSignal.timeout(30_000) }).then(
      (answer) => answer.status,
      (error) => (error.name === 'TimeoutError' ? 'none' : 'closed'),
    );
    if (status === 'closed') break;
    longest = Math.max(longest, (performance.now() - asked) / 1000);
    if (status === 200) answers++;
    await sleep(50);
  }
  return { longest, answers };
}

const training = (data: string, out: string, ...flags: (string | number)[]) =>
  start(trainArgs(data, out, '--workers', 1, '--http', '127.0.0.1:0', ...flags), {
    timeout: 110_000,
  });

describe('wide data', () => {
  for (const [points, dim, ...flags] of [
    [60, 1500, '--transform', 'pca:32'],
    [1000, 1024],
  ] as [number, number, ...string[]][])
    test(`${points} × ${dim} ${flags}: probes are answered, and no worker is taken for gone`, async () => {
      const out = join(folder, `run-${dim}-${flags.length}`);
      const running = training(wideData(points, dim), out, '--max-epochs', 3, ...flags);
      const { longest, answers } = await watchHealth(running);
      jsonOf(await running.ended);
      assert.ok(answers > 0);
      assert.ok(longest < patience(1), `/healthz took ${longest} s`);
      assert.deepEqual(ofType(eventsOf(out), 'worker-gone'), []);
      assert.equal(ofType(eventsOf(out), 'likelihood').length, flags.length ? 0 : 1);
      await assertNoneLeft(running.pid);
    });
});
