import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { partition, quality } from '../../../model/graph/louvain.ts';
import { gaussianRows, replicateRows, stability } from '../../../model/graph/stability.ts';
import { directedWeights, subgraph, symmetrized } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';
import type { TaskOf } from '../../../tasks/table.ts';
import { nearest } from '../../model/graph/support.ts';
import { backends } from '../../worker/present.ts';
import { SEED } from '../../worker/support.ts';
import { N, newWorker, of, run, runAll, SHARDS } from './support.ts';

const [backend] = backends;
const { graph } = of;

describe('partitions of replicates', () => {
  for (const [resolutions, replicates, share] of [
    [[0.5, 1, 2], 4, 0.6],
    [[1], 1, 0.5],
    [[2, 4], 5, 1],
  ] as [number[], number, number][])
    test(`each pair by exactly one shard: ${resolutions.length} × ${replicates}, ${share} of the rows`, async () => {
      const results = await runAll(newWorker(backend), {
        task: 'partitions',
        resolutions,
        replicates,
        share,
      });
      const rows = Math.floor(share * N);
      const next = SHARDS.map(() => 0);
      for (const [a, resolution] of resolutions.entries())
        for (let replicate = 0; replicate < replicates; replicate++) {
          const shard = (a * replicates + replicate) % SHARDS.length;
          const at = next[shard]++ * rows;
          const own = subgraph(graph, replicateRows(SEED, replicate, N, share));
          const expected = partition(own, resolution, generator(SEED, 'partition', replicate));
          assert.deepEqual(results[shard].labels.data.slice(at, at + rows), expected);
        }
      for (const shard of SHARDS) {
        assert.equal(results[shard].labels.data.length, next[shard] * rows, 'no others');
      }
    });
});

describe('partitions of a Gaussian without clusters', () => {
  const task: TaskOf<'null-partitions'> = {
    ...{ task: 'null-partitions', variances: [4, 3, 2, 1], rows: 150, neighbours: 7 },
    ...{ resolutions: [0.5, 2, 8, 16], replicates: 3, share: 0.6 },
  };

  test('agree as replicates of it do, at those of the resolutions that are the shard’s', async () => {
    const { variances, rows, neighbours, resolutions, replicates, share } = task;
    const { index, distance } = nearest(gaussianRows(SEED, rows, variances), variances.length, neighbours);
    const graph = symmetrized(index, directedWeights(distance, neighbours), neighbours);
    const results = await runAll(newWorker(backend), task);
    for (const [i, resolution] of resolutions.entries()) {
      const labels = Array.from({ length: replicates }, (_, replicate) => {
        const own = replicateRows(SEED, replicate, rows, share);
        const found = partition(subgraph(graph, own), resolution, generator(SEED, 'partition', replicate));
        const all = new Int32Array(rows).fill(-1);
        own.forEach((row, at) => {
          all[row] = found[at];
        });
        return all;
      });
      const { mean, k } = stability(labels, rows);
      const [shard, place] = [i % SHARDS.length, Math.floor(i / SHARDS.length)];
      assert.equal(results[shard].mean.data[place], mean);
      assert.equal(results[shard].size.data[place], Math.floor(share * rows) / k);
    }
    assert.deepEqual(
      results.map(({ mean, size }) => [mean.data.length, size.data.length]),
      [
        [2, 2],
        [1, 1],
        [1, 1],
      ],
    );
  });

  test('are none of a shard without a resolution of its own', async () => {
    const { mean, size } = await run(newWorker(backend), { ...task, resolutions: [1] }, 2);
    assert.deepEqual([mean.data.length, size.data.length], [0, 0]);
  });
});

describe('partitions to start from', () => {
  for (const resolution of [0.5, 1, 4])
    test(`are finer than one at the resolution ${resolution}, and judged once joined at it`, async () => {
      const results = await runAll(newWorker(backend), { task: 'start-partition', resolution });
      for (const shard of SHARDS) {
        const rng = generator(SEED, 'start-partition', shard);
        const labels = partition(graph, 2 * resolution, rng);
        const joined = partition(graph, resolution, rng, 1, labels);
        assert.deepEqual(results[shard].labels.data, labels);
        assert.deepEqual([...results[shard].quality.data], [quality(graph, joined, resolution)]);
      }
    });
});
