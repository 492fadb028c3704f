import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseByWeight } from '../../model/gaussian/kmeans.ts';
import { generator } from '../../model/random.ts';
import { nd } from '../../proto/tensors.ts';
import type { Task } from '../../tasks/table.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import { D, type Matrix, SEED, sum, transformState } from '../worker/support.ts';
import { f64, run, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`seed-distances on ${backend.identity}`, () => {
    const CENTRES = [
      [0, 0, 0],
      [4, -5, 0.1],
    ]; // Approximately those of the blobs.
    const prepared = (centres: Matrix) => {
      const worker = w.newWorker(backend);
      worker.put('centres', { rows: nd(Float64Array.from([...centres, [0, 0, 0]].flat())) });
      return worker;
    };

    test('the sum of squared distances, and a row drawn by them', async () => {
      for (const count of [0, 1, 2]) {
        const centres = CENTRES.slice(0, count);
        const worker = prepared(centres);
        for (const shard of SHARDS) {
          const task: Task = { task: 'seed-distances', centres: count, draw: count };
          const result = await run(worker, task, shard);
          const members = w.sampleOf(shard);
          const weights = members.map((row) =>
            count ? Math.min(...centres.map((c) => sum(w.x(row).map((v, d) => (v - c[d]) ** 2)))) : 1,
          );
          close(f64(result, 'weight'), [sum(weights)], 1e-6);
          const uniform = generator(SEED, 'k-means++', count, shard).uniform();
          close(f64(result, 'row'), w.x(members[chooseByWeight(weights, uniform)]), 1e-5);
        }
      }
    });

    test('a shard without a sample has weight 0', async () => {
      const worker = prepared(CENTRES);
      worker.put('transform', transformState(w.transform, 0));
      const result = await run(worker, { task: 'seed-distances', centres: 2, draw: 2 });
      assert.deepEqual([...f64(result, 'weight')], [0]);
      assert.equal(f64(result, 'row').length, D);
    });
  });
