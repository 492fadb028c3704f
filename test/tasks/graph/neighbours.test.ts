import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { directedWeights } from '../../../model/graph/weights.ts';
import { nearest } from '../../model/graph/support.ts';
import { backends } from '../../worker/present.ts';
import { agrees, D } from '../../worker/support.ts';
import { CUTS, joined, newWorker, of, run, runAll, SHARDS } from './support.ts';

const [backend] = backends;

describe('neighbours', () => {
  for (const k of [1, 2, 7, 20])
    test(`are the ${k} nearest rows of all shards, with their distances and UMAP's weights`, async () => {
      const results = await runAll(newWorker(backend), { task: 'neighbours', k });
      const { index, distance } = nearest(of.rows, D, k);
      assert.deepEqual(joined(results, 'index'), [...index]);
      agrees(joined(results, 'weight'), directedWeights(distance, k), 1e-6);
      agrees(joined(results, 'distance'), distance, 1e-6);
      for (const shard of SHARDS) {
        const n = of.starts[shard + 1] - of.starts[shard];
        const { index, weight, distance } = results[shard];
        assert.deepEqual(
          [index.shape, weight.shape, distance.shape],
          [
            [n, k],
            [n, k],
            [n, k],
          ],
        );
      }
    });

  test('do not depend on which shard looks for them', async () => {
    const task = { task: 'neighbours', k: 5 } as const;
    const expected = await runAll(newWorker(backend), task);
    for (const points of CUTS) {
      const found = await runAll(newWorker(backend, points), task);
      for (const name of ['index', 'weight', 'distance'])
        assert.deepEqual(joined(found, name), joined(expected, name));
    }
  });

  test('of a shard without rows are none', async () => {
    const { index, weight, distance } = await run(newWorker(backend, CUTS[1]), { task: 'neighbours', k: 5 });
    assert.deepEqual(
      [index.shape, weight.shape, distance.shape],
      [
        [0, 5],
        [0, 5],
        [0, 5],
      ],
    );
  });
});
