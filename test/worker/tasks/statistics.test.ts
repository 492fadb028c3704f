import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statisticsLength } from '../../../model/statistics.ts';
import { runTask } from '../../../worker/tasks/index.ts';
import { backends } from '../present.ts';
import { agrees, D, logitsOf, range, softmax, world } from '../support.ts';
import { covarianceOf, f64, momentSums, run, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`statistics on ${backend.identity}`, () => {
    for (const diagonal of [false, true])
      for (const block of [7, 4096])
        test(`soft T, and the labels, ${covarianceOf(diagonal)}, blocks of ${block}`, async () => {
          const worker = w.newWorker(backend);
          for (const shard of SHARDS) {
            const result = await run(worker, { task: 'statistics', diagonal, block }, shard);
            const members = w.sampleOf(shard);
            const y = members.map((row) => w.y(row));
            const r = y.map((row) => softmax(logitsOf(w.net, row)));
            const p = statisticsLength(D, covarianceOf(diagonal));
            assert.deepEqual(result.T.shape, [3, p]);
            for (const k of range(3)) {
              const T = momentSums(
                y,
                covarianceOf(diagonal),
                r.map((row) => row[k]),
              );
              agrees(f64(result, 'T').subarray(k * p, (k + 1) * p), T, 5e-6, `cluster ${k}`);
            }
            const z = members.map((row) => w.label(row));
            assert.deepEqual([...(await worker.context.labels(shard))], z);
          }
        });

    test('one cluster has all rows', async () => {
      const one = world({ k: 1 });
      const worker = one.newWorker(backend);
      const result = await runTask(
        worker.context,
        { task: 'statistics', diagonal: false, block: 64 },
        one.unit(0),
      );
      const y = one.sampleOf(0).map((row) => one.y(row));
      agrees(f64(result, 'T'), momentSums(y, 'full'), 5e-6);
    });
  });
