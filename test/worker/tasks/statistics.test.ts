import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statisticsLength } from '../../../model/statistics.ts';
import { nd } from '../../../proto/tensors.ts';
import { backends } from '../present.ts';
import { agrees, D, logitsOf, randomMatrix, range, softmax } from '../support.ts';
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

    for (const [diagonal, least] of [
      [false, 0],
      [true, 0],
      [false, 0.2],
    ] as const)
      test(`the same about other points, in float64 from the rows up, ${covarianceOf(diagonal)}, from responsibilities of ${least} on`, async () => {
        const worker = w.newWorker(backend);
        const means = randomMatrix(9, 3, D);
        worker.put('means', { rows: nd(Float64Array.from(means.flat()), 3, D) });
        for (const shard of SHARDS) {
          const result = await run(worker, { task: 'pivoted-statistics', diagonal, least }, shard);
          const members = w.sampleOf(shard);
          const r = members.map((row) => softmax(logitsOf(w.net, w.y(row))));
          const p = statisticsLength(D, covarianceOf(diagonal));
          assert.deepEqual(result.T.shape, [3, p]);
          for (const k of range(3)) {
            const T = momentSums(
              members.map((row) => [...w.x(row)].map((value, d) => value - means[k][d])),
              covarianceOf(diagonal),
              r.map((row) => (row[k] < least ? 0 : row[k])),
            );
            agrees(f64(result, 'T').subarray(k * p, (k + 1) * p), T, 5e-6, `cluster ${k}`);
          }
        }
      });
  });
