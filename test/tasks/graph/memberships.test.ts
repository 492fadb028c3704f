import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generator, shuffledPrefix } from '../../../model/random.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../model/widths.ts';
import { Mismatch } from '../../../proto/shapes.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Backend } from '../../../worker/compute/backends/backend.ts';
import { fieldByFormula, sharesOf, volumesOf } from '../../model/graph/support.ts';
import { close } from '../../model/support.ts';
import { backends } from '../../worker/present.ts';
import {
  agrees,
  logitsOf,
  range,
  SEED,
  softmax,
  sum,
  transformState,
  weightsOf,
} from '../../worker/support.ts';
import { clusterTask } from '../support.ts';
import { CUTS, joined, K, newWorker, of, run, runAll, SHARDS, summed, w } from './support.ts';

const [first] = backends;
const FIELD = { coupling: 2, resolution: 2 };
const FIELD_OF_ALL = fieldByFormula(of.graph, of.shares, FIELD);

/** The largest shares of a row with those above 1e-3, as a row of the matrix [n,K]. */
function largest(shares: number[]): number[] {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  const kept = order.slice(0, KEPT).filter((k, place) => place === 0 || shares[k] > 1e-3);
  const total = sum(kept.map((k) => shares[k]));
  return shares.map((share, k) => (kept.includes(k) ? share / total : 0));
}

/** The results must be these memberships, and what a coordinator takes. */
function areThese(results: Tensors[], expected: number[][], tolerance: number): void {
  for (const shard of SHARDS) {
    const n = of.starts[shard + 1] - of.starts[shard];
    const { cluster, share, volume } = results[shard];
    assert.deepEqual([cluster.shape, share.shape, volume.shape], [[n, KEPT], [n, KEPT], [K]]);
  }
  const found = {
    cluster: Int32Array.from(joined(results, 'cluster')),
    share: Float32Array.from(joined(results, 'share')),
  };
  agrees(sharesOf(found, K, KEPT).flat(), expected.flat(), tolerance);
  agrees(summed(results, 'volume'), volumesOf(expected, of.degree), tolerance);
}

const zeroSample = { ...transformState(w.transform, w.below), below: nd(Float64Array.of(0)) };

for (const backend of backends)
  describe(`memberships on ${backend.identity}`, () => {
    test('by the net: the largest of its softmax, and the volumes', async () => {
      const members = SHARDS.flatMap((shard) => w.sampleOf(shard));
      const expected = members.map((row) => largest(softmax(logitsOf(w.net, w.y(row)))));
      assert.ok(expected.some((shares) => shares.filter((share) => share > 0).length === KEPT));
      areThese(await runAll(newWorker(backend), { task: 'memberships' }), expected, 2e-4);
    });

    test('by the net that has diverged: none', async () => {
      const worker = newWorker(backend);
      worker.put(
        'net',
        weightsOf(
          w.net,
          w.net.params.map((values) => values.map(() => Number.NaN)),
        ),
      );
      const result = await run(worker, { task: 'memberships' }, 1);
      assert.ok(result.share.data.every((share: number) => share === 0));
      assert.deepEqual(result.volume.data, new Float64Array(K));
    });

    test('are the targets of cluster-steps: all of the mean field, of the rows of the batch', async () => {
      // One step from zero weights: the last bias has the gradient mean(1/K − target).
      const task = clusterTask({ steps: 1, average: 'gradients', batch: 20, field: FIELD });
      const worker = newWorker(backend);
      const zeros = w.net.params.map((values) => new Float32Array(values.length));
      worker.put('net', weightsOf(w.net, zeros));
      for (const shard of SHARDS) {
        const n = of.starts[shard + 1] - of.starts[shard];
        const drawn = shuffledPrefix(generator(SEED, 'batches', task.epoch, shard), n, 20);
        const targets = [...drawn].map((row) => FIELD_OF_ALL[of.starts[shard] + row]);
        const expected = range(K).map((k) => 1 / K - sum(targets.map((target) => target[k])) / 20);
        const result = await run(worker, task, shard);
        close([...result.gradients.data].slice(-K), expected, 1e-6);
        const entropy = sum(targets.flat().map((t) => (t > 0 ? t * Math.log(t) : 0))) / 20;
        close(result.loss.data[0], entropy + Math.log(K), 1e-5);
      }
    });

    test('of a shard without a sample add nothing', async () => {
      const worker = newWorker(backend, CUTS[1]);
      worker.put('transform', zeroSample);
      for (const { data } of Object.values(await run(worker, { task: 'memberships' })))
        assert.ok(data.every((value: number) => value === 0));
      const { count, gradients } = await run(worker, clusterTask({ average: 'gradients', field: FIELD }));
      assert.deepEqual([...count.data], [0]);
      assert.ok(gradients.data.every((value: number) => value === 0));
    });
  });

describe('a sample that is not the one of the graph', () => {
  const tasks = [
    { task: 'memberships' },
    clusterTask({ field: FIELD }),
    clusterTask({ field: FIELD, average: 'gradients' }),
  ] as const;
  const refuses = async (backend: Backend, change: Record<string, Tensors>, shard: number) => {
    for (const task of tasks)
      await assert.rejects(
        run(newWorker(backend, change), task, shard),
        (error) => error instanceof Mismatch && /points: \d+ rows of shard \d/.test(error.message),
        task.task,
      );
  };

  test('is an error: with other rows of the shard', async () => {
    for (const points of CUTS) await refuses(first, points, 1);
  });

  test('is an error: that has grown, or is halved', async () => {
    await refuses(first, { transform: transformState(w.transform, 0.9) }, 0);
    const half = { ...transformState(w.transform, w.below), half: nd(Int32Array.of(1)) };
    await refuses(first, { transform: half }, 2);
  });

  test('leaves nothing on the device', async () => {
    const worker = newWorker(first, CUTS[0]);
    await worker.context.sample(1);
    await run(newWorker(first), { task: 'sample-rows' });
    const live = first.live();
    for (const task of tasks) {
      await assert.rejects(run(worker, task, 1));
      assert.equal(first.live(), live, task.task);
    }
  });
});
