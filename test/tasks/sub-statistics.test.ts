import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nd } from '../../proto/tensors.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import { D, logitsOf, randomMatrix, range, softmax } from '../worker/support.ts';
import { covarianceOf, f64, momentSums, run, SHARDS, w } from './support.ts';

const K = 3;
const PIVOTS = randomMatrix(70, 2 * K, D);

for (const backend of backends)
  describe(`sub-statistics on ${backend.identity}`, () => {
    for (const diagonal of [false, true])
      test(`are those of a cluster's rows by its sub-net${diagonal ? ', diagonal' : ''}`, async () => {
        const worker = w.newWorker(backend);
        worker.put('sub-pivots', { rows: nd(Float64Array.from(PIVOTS.flat()), 2 * K, D) });
        for (const shard of SHARDS) {
          const result = await run(worker, { task: 'sub-statistics', diagonal }, shard);
          const rows = w.sampleOf(shard);
          const expected: number[] = [];
          const counts: number[] = [];
          for (const half of range(2 * K)) {
            const [cluster, side] = [half >> 1, half % 2];
            const own = rows.filter((row) => w.label(row) === cluster);
            const r = own.map((row) => softmax(logitsOf(w.subs, w.y(row), cluster)));
            const centred = own.map((row) => w.x(row).map((value, d) => value - PIVOTS[half][d]));
            const weights = r.map((both) => both[side]);
            expected.push(...momentSums(centred, covarianceOf(diagonal), weights));
            counts.push(r.filter((both) => both[side] > both[1 - side]).length);
          }
          close(f64(result, 'T'), expected, 1e-4);
          assert.deepEqual([...f64(result, 'counts')], counts);
        }
      });
  });
