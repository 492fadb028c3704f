import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { netSize, unflatten } from '../../model/nets/net.ts';
import type { Backend } from '../../worker/compute/backends/backend.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import { D, logitsOf, range, softmax, sum, transformState, weightsOf } from '../worker/support.ts';
import { addsNothing, CENTRES, centreState, f64, run, SHARDS, subTask, w } from './support.ts';

for (const backend of backends)
  describe(`sub-steps on ${backend.identity}`, () => {
    /** The gathered rows, step by step. */
    function watched(): { backend: Backend; batches: { index: number[]; shape: readonly number[] }[] } {
      const batches: { index: number[]; shape: readonly number[] }[] = [];
      return {
        batches,
        backend: {
          ...backend,
          gather(x, index, shape) {
            if (shape?.length === 3) batches.push({ index: Array.from(index), shape });
            return backend.gather(x, index, shape);
          },
        },
      };
    }
    const prepared = (on: Backend) => {
      const worker = w.newWorker(on);
      worker.put('parts', centreState());
      return worker;
    };

    test('each net gets rows of its own cluster only, as many of each', async () => {
      for (const shard of SHARDS) {
        const { backend: spy, batches } = watched();
        const result = await run(prepared(spy), subTask(), shard);
        const z = w.sampleOf(shard).map((row) => w.label(row));
        const counts = range(3).map((k) => z.filter((c) => c === k).length);
        assert.deepEqual([...f64(result, 'count')], counts);
        assert.equal(batches.length, 3);
        for (const { index, shape } of batches) {
          assert.deepEqual(shape, [3, 5, D]);
          index.forEach((row, i) => {
            if (counts[Math.floor(i / 5)]) assert.equal(z[row], Math.floor(i / 5));
          });
        }
        assert.notDeepEqual(batches[0].index, batches[1].index);
        assert.equal(f64(result, 'params').length, netSize(w.subs.shapes));
      }
    });

    test('the loss is the mean cost of the sub-clusters', async () => {
      const { backend: spy, batches } = watched();
      const result = await run(prepared(spy), subTask({ average: 'gradients' }));
      const members = w.sampleOf(0);
      const { scale } = w.transform;
      const each = batches[0].index.map((worker, i) => {
        const c = Math.floor(i / 5);
        const row = members[worker];
        const r = softmax(logitsOf(w.subs, w.y(row), c));
        const costs = CENTRES[c].map((centre) =>
          sum(w.x(row).map((v, d) => (v - scale[d] * centre[d]) ** 2)),
        );
        return sum(costs.map((cost, j) => cost * r[j]));
      });
      close(f64(result, 'loss')[0], sum(each) / each.length, 1e-5);
    });

    test('a cluster without rows in this shard has count 0, and its net stays finite', async () => {
      const worker = prepared(backend);
      const params = w.net.params.map((values) => values.slice());
      params[3][1] = -1e4;
      worker.put('net', weightsOf(w.net, params));
      const result = await run(worker, subTask());
      const [first, none, third] = f64(result, 'count');
      assert.equal(none, 0);
      assert.equal(first + third, w.sampleOf(0).length);
      for (const name of Object.keys(result)) assert.ok(result[name].data.every(Number.isFinite), name);
    });

    test('a shard without a sample returns zeros', async () => {
      const worker = prepared(backend);
      const full = await run(worker, subTask());
      worker.put('transform', transformState(w.transform, 0));
      addsNothing(await run(worker, subTask()), full);
    });

    test('nets do not affect each other', async () => {
      const [worker, other] = [prepared(backend), prepared(backend)];
      const a = await run(worker, subTask());
      const c = f64(a, 'count').indexOf(Math.max(...f64(a, 'count')));
      const changed = w.subs.params.map((values) => {
        const own = values.slice();
        own.fill(0.3, (c * values.length) / 3, ((c + 1) * values.length) / 3);
        return own;
      });
      other.put('subs', weightsOf(w.subs, changed));
      const b = await run(other, subTask());
      for (const i of range(4)) {
        const [left, right] = [a, b].map((result) => unflatten(f64(result, 'params'), w.subs.shapes)[i]);
        const third = left.length / 3;
        for (const net of range(3)) {
          const [before, after] = [left, right].map((all) => all.subarray(net * third, (net + 1) * third));
          if (net === c) assert.notDeepEqual(after, before);
          else assert.deepEqual(after, before);
        }
      }
    });
  });
