// Replicates: tasks on a half of the sample, which the state `transform` names.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { halfOf } from '../../model/layout.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { runTask } from '../../tasks/compute/table.ts';
import type { Task } from '../../tasks/table.ts';
import { backends } from '../worker/present.ts';
import { bytes, D, transformFor, transformState } from '../worker/support.ts';
import { SHARDS, w } from './support.ts';

const whole = () => transformState(w.transform, w.below);
const half = (replicate: number): Tensors => ({ ...whole(), half: nd(Int32Array.of(replicate)) });
const unitOf = (shard: number) => ({ shard, from: 0, to: 0 });
const STATISTICS: Task = { task: 'statistics', diagonal: false, block: 32 };

for (const backend of backends)
  describe(`halves of the sample on ${backend.identity}`, () => {
    test('are the rows of the rule, of both kinds of input', async () => {
      const { context, put } = w.newWorker(backend);
      for (const shard of SHARDS) {
        put('transform', whole());
        const all = await context.sample(shard);
        const scaled = await backend.read(all.scaled);
        for (const replicate of [1, 2]) {
          put('transform', half(replicate));
          const own = await context.sample(shard);
          const places = halfOf(context.seed, replicate, shard, all.n);
          assert.equal(own.n, places.length);
          const rowsOf = (rows: Float32Array) =>
            Float32Array.from([...places].flatMap((i) => [...rows.subarray(i * D, (i + 1) * D)]));
          assert.deepEqual(own.rows, rowsOf(all.rows));
          assert.deepEqual(await backend.read(own.scaled), rowsOf(scaled));
        }
      }
    });

    test('results are those of a worker that has the shard anew, and of the whole sample afterwards', async () => {
      const anew = async (state: Tensors) => {
        const { context, put } = w.newWorker(backend);
        put('transform', state);
        return bytes(await runTask(context, STATISTICS, unitOf(1)));
      };
      const { context, put } = w.newWorker(backend);
      const found: string[] = [];
      for (const state of [whole(), half(1), half(2), whole(), half(1)]) {
        put('transform', state);
        const result = bytes(await runTask(context, STATISTICS, unitOf(1)));
        assert.deepEqual(result, await anew(state));
        found.push(JSON.stringify(result));
      }
      assert.equal(new Set(found).size, 3);
    });

    test('copies of other rows are left out, of a half too', async () => {
      const { context, put } = w.newWorker(backend);
      const unit = unitOf(1);
      for (const state of [whole(), half(1)]) {
        put('transform', state);
        const counts: number[] = [];
        for (const shard of SHARDS) counts.push((await context.sample(shard)).n);
        const all = await context.sample(1);
        const starts = Int32Array.of(
          0,
          ...counts.map((_, s) => counts.slice(0, s + 1).reduce((a, b) => a + b)),
        );
        // The second row of the shard is one of another shard, the last one the third.
        const of = Int32Array.from({ length: starts.at(-1)! }, (_, i) => i);
        of[starts[1] + 1] = 0;
        of[starts[2] - 1] = starts[1] + 2;
        put('transform', { ...state, copyOf: nd(of), copyStarts: nd(starts) });
        const own = await context.sample(1);
        assert.equal(own.n, all.n - 2);
        const kept = [...all.rows.subarray(0, D), ...all.rows.subarray(2 * D, (all.n - 1) * D)];
        assert.deepEqual([...own.rows], kept);
        assert.equal((await context.sample(0)).n, counts[0]);
        put('transform', {
          ...state,
          copyOf: nd(of),
          copyStarts: nd(starts.map((start) => Math.min(start, 3))),
        });
        await assert.rejects(runTask(context, STATISTICS, unit), /copies among/);
      }
    });

    test('nothing is read again, and nothing stays on the device', async () => {
      const { context, put } = w.newWorker(backend);
      const use = async (state: Tensors) => {
        put('transform', state);
        for (const shard of SHARDS) await runTask(context, STATISTICS, unitOf(shard));
        return backend.live();
      };
      const before = await use(whole());
      context.rowsRead();
      const withHalf = await use(half(1));
      assert.equal(await use(half(2)), withHalf);
      assert.equal(await use(whole()), before);
      assert.equal(context.rowsRead(), 0);
      // Another transform needs other rows.
      await use({
        ...transformState(transformFor('min-max', w.raw, D), w.below),
        half: nd(Int32Array.of(1)),
      });
      assert.ok(context.rowsRead() > 0);
      context.free();
    });

    test('sample-labels: every so many-th label, and all counts', async () => {
      const { context } = w.newWorker(backend);
      const all = await context.labels(1);
      for (const every of [1, 3, 1000]) {
        const { labels, counts } = await runTask(context, { task: 'sample-labels', every }, unitOf(1));
        assert.deepEqual(
          [...labels.data],
          [...all].filter((_, i) => i % every === 0),
        );
        assert.deepEqual(
          [...counts.data],
          [0, 1, 2].map((k) => all.filter((label) => label === k).length),
        );
      }
    });
  });
