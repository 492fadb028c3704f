import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TransformChoice } from '../../data/transform-choice.ts';
import { nd } from '../../proto/tensors.ts';
import { backends } from '../worker/present.ts';
import {
  agrees,
  argmax,
  bytes,
  D,
  logitsOf,
  range,
  sum,
  type TestWorker,
  transformFor,
  transformState,
  weightsOf,
  world,
} from '../worker/support.ts';
import { READING, run, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`the sample on ${backend.identity}`, () => {
    for (const choice of ['center', 'none', 'normalize', 'standard', 'min-max', 'pca:2'] as TransformChoice[])
      test(`is the rows below the threshold, in file order, transformed: ${choice}`, async () => {
        const transform = transformFor(choice, w.raw, D);
        for (const shard of SHARDS) {
          const { context, put } = w.newWorker(backend);
          put('transform', transformState(transform, w.below));
          const { n, rows, scaled } = await context.sample(shard);
          const members = w.sampleOf(shard);
          assert.equal(n, members.length);
          assert.deepEqual(scaled.shape, [n, transform.dim]);
          const raw = members.map((row) => [...w.raw.subarray(row * D, (row + 1) * D)]);
          const input = choice === 'normalize' ? raw.map((r) => r.map((v) => v / Math.hypot(...r))) : raw;
          const { columns, weights, bias, dim, scale } = transform;
          const y = input.map((row) =>
            range(dim).map(
              (j) =>
                bias[j] +
                (columns ? row[columns[j]] * weights[j] : sum(row.map((v, i) => v * weights[i * dim + j]))),
            ),
          );
          // Raw values up to a hundred standard deviations from zero.
          agrees(await backend.read(scaled), y.flat(), 5e-6, 'scaled');
          agrees(
            rows,
            y.flatMap((row) => row.map((v, j) => v * scale[j])),
            5e-6,
            'rows',
          );
        }
      });

    test('a shard whose sample is empty', async () => {
      for (const choice of ['center', 'pca:2'] as TransformChoice[]) {
        const { context, put } = w.newWorker(backend);
        put('transform', transformState(transformFor(choice, w.raw, D), 0));
        assert.equal((await context.sample(0)).n, 0);
        assert.deepEqual(await context.labels(0), new Int32Array(0));
      }
    });

    const momentsOf = (worker: TestWorker, shard: number) => {
      worker.put('origin', { row: nd(new Float64Array(D)) });
      return run(worker, READING, shard);
    };

    test('that has grown is read again, and is that of a worker that had it from the start', async () => {
      const grown = transformState(w.transform, 0.9);
      for (const shard of SHARDS) {
        const [late, always] = [w.newWorker(backend), w.newWorker(backend)];
        await momentsOf(late, shard);
        assert.equal((await late.context.labels(shard)).length, w.sampleOf(shard).length);
        late.put('transform', grown);
        always.put('transform', grown);
        const [now, expected] = [await late.context.sample(shard), await always.context.sample(shard)];
        assert.ok(now.n > w.sampleOf(shard).length);
        assert.deepEqual(now.rows, expected.rows);
        assert.deepEqual(await backend.read(now.scaled), await backend.read(expected.scaled));
        assert.deepEqual(await late.context.labels(shard), await always.context.labels(shard));
        const task = { task: 'statistics', diagonal: false, block: 32 } as const;
        assert.deepEqual(bytes(await run(late, task, shard)), bytes(await run(always, task, shard)));
      }
    });

    test('that has grown leaves no features of the one before on the device', async () => {
      const worker = w.newWorker(backend);
      const featuresOf = async (start: number) => {
        const { scaled } = await worker.context.sample(0);
        const x = backend.slice(scaled, start, 8);
        const features = worker.context.features(0, start, x, false);
        backend.free(x);
        return features;
      };
      await featuresOf(0);
      const live = backend.live();
      for (const start of [8, 16, 24]) assert.ok((await featuresOf(start)).kept);
      assert.ok((await featuresOf(8)).kept);
      assert.equal(backend.live(), live + 3, 'one for each block');
      worker.put('transform', transformState(w.transform, 0.9));
      await featuresOf(0);
      assert.equal(backend.live(), live, 'only the new one');
    });

    test('labels are the argmax of the net, and change with it', async () => {
      const worker = w.newWorker(backend);
      const expected = w.sampleOf(1).map((row) => w.label(row));
      assert.deepEqual([...(await worker.context.labels(1))], expected);
      assert.ok(new Set(expected).size > 1);
      const turned = world({ hidden: [5, 4] }).net;
      worker.put('net', weightsOf(turned));
      const now = w.sampleOf(1).map((row) => argmax(logitsOf(turned, w.y(row))));
      assert.notDeepEqual(now, expected);
      assert.deepEqual([...(await worker.context.labels(1))], now);
    });
  });
