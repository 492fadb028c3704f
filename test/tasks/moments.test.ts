import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blockHash } from '../../data/blocks.ts';
import { shardBlocks } from '../../model/layout.ts';
import { nd } from '../../proto/tensors.ts';
import { createStates } from '../../tasks/compute/context.ts';
import { runTask } from '../../tasks/compute/table.ts';
import type { TaskOf } from '../../tasks/table.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import {
  contextOf,
  D,
  hashesState,
  memoryBlocks,
  momentsOf,
  transformFor,
  transformState,
} from '../worker/support.ts';
import { covarianceOf, f64, momentSums, READING, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`moments on ${backend.identity}`, () => {
    const ORIGIN = Float64Array.of(5.5, 3, 4.75);
    const task = (change: Partial<TaskOf<'moments'>> = {}): TaskOf<'moments'> => ({ ...READING, ...change });
    const worker = (raw = w.raw, sampleFrom?: Parameters<typeof contextOf>[4]) => {
      const states = createStates(backend);
      states.put('origin', 1, { row: nd(ORIGIN) });
      states.put('transform', 1, transformState(w.transform, w.below));
      states.put('hashes', 1, hashesState(raw, w.layout));
      return contextOf(backend, states, memoryBlocks(raw, D), w.layout, sampleFrom);
    };
    const rowsOf = (shard: number, raw = w.raw) =>
      w.rowsOf(shard).map((row) => [...raw.subarray(row * D, (row + 1) * D)]);

    for (const normalize of [false, true])
      for (const diagonal of [false, true])
        test(`statistics and extremes${normalize ? ', normalized' : ''}${diagonal ? ', diagonal' : ''}`, async () => {
          for (const shard of SHARDS) {
            const result = await runTask(worker(), task({ normalize, diagonal }), w.unit(shard));
            let rows = rowsOf(shard);
            if (normalize) rows = rows.map((row) => row.map((v) => Math.fround(v / Math.hypot(...row))));
            const centred = rows.map((row) => row.map((v, d) => v - ORIGIN[d]));
            // Float64 throughout, except that normalized rows are rounded.
            const tolerance = normalize ? 1e-6 : 1e-12;
            close(f64(result, 'T'), momentSums(centred, covarianceOf(diagonal)), tolerance);
            const { min, max } = momentsOf(rows);
            close(f64(result, 'min'), min, tolerance);
            close(f64(result, 'max'), max, tolerance);
            assert.deepEqual([...f64(result, 'counts')], [w.sampleOf(shard).length, 0, -1]);
          }
        });

    test('a hash of each block as read, in the order of the shard', async () => {
      const blocks = shardBlocks(w.layout)[2];
      for (const normalize of [false, true]) {
        const { hashes } = await runTask(worker(), task({ normalize }), w.unit(2));
        assert.deepEqual(hashes.shape, [blocks.length, 16]);
        const expected = blocks.map(({ start, count }) =>
          Buffer.from(blockHash(w.raw.slice(start * D, (start + count) * D))),
        );
        assert.deepEqual(Buffer.from(hashes.data as Uint8Array), Buffer.concat(expected));
      }
    });

    test('bad rows are counted, reported and left out', async () => {
      const rows = w.rowsOf(1);
      const bad = [rows[5], rows[20], rows.at(-1)!];
      const raw = w.raw.slice();
      [NaN, Infinity, -Infinity].forEach((value, i) => {
        raw[bad[i] * D + i] = value;
      });
      for (const normalize of [false, true]) {
        const result = await runTask(worker(raw), task({ normalize }), w.unit(1));
        assert.deepEqual([...f64(result, 'counts')].slice(1), [3, Math.min(...bad)]);
        if (normalize) continue;
        const good = rows.filter((row) => !bad.includes(row));
        const values = good.map((row) => [...raw.subarray(row * D, (row + 1) * D)]);
        const centred = values.map((row) => row.map((v, d) => v - ORIGIN[d]));
        close(f64(result, 'T'), momentSums(centred, 'full'), 1e-12);
        close(f64(result, 'min'), momentsOf(values).min, 0);
      }
    });

    test('keeps the raw sample, which equals the one that another worker rereads', async () => {
      for (const normalize of [false, true]) {
        const transform = transformState(transformFor(normalize ? 'normalize' : 'center', w.raw, D), w.below);
        const [before, after] = [worker(), worker()];
        for (const context of [before, after]) context.states.put('transform', 2, transform);
        await runTask(before, task({ normalize }), w.unit(0));
        before.rowsRead();
        const kept = await before.sample(0);
        assert.equal(before.rowsRead(), 0);
        const recalled = await after.sample(0);
        assert.equal(after.rowsRead(), w.rowsOf(0).length);
        assert.deepEqual(kept.rows, recalled.rows);
        assert.deepEqual(await backend.read(kept.scaled), await backend.read(recalled.scaled));
      }
    });

    /** The blocks of shard 0, in three units. */
    const units = [0, 2, 3].map((from, i) => ({
      shard: 0,
      from,
      to: [2, 3, shardBlocks(w.layout)[0].length][i],
    }));

    test('of ranges that are kept, in any order, only those that are missing are read again', async () => {
      const [before, after] = [worker(), worker()];
      const missing = w.rowsOf(0).length - (await rowsKept(before, [units[2], units[0]]));
      const { rows } = await before.sample(0);
      assert.ok(missing > 0);
      assert.equal(before.rowsRead(), missing);
      assert.deepEqual(rows, (await after.sample(0)).rows);
    });

    async function rowsKept(context: ReturnType<typeof worker>, kept: typeof units): Promise<number> {
      for (const unit of kept) await runTask(context, task(), unit);
      return context.rowsRead();
    }

    test('a sample that is sent in ranges is that of its owner, which reads nothing', async () => {
      const sent: number[] = [];
      for (const unit of units) {
        const { sampled } = await runTask(worker(), task({ sends: true }), unit);
        sent.push(...(sampled.data as Float32Array));
      }
      const asked: unknown[][] = [];
      const owner = worker(w.raw, async (...what) => {
        asked.push(what);
        return Float32Array.from(sent);
      });
      const { rows } = await owner.sample(0);
      assert.deepEqual([asked, owner.rowsRead()], [[[0, w.below]], 0]);
      assert.deepEqual(rows, (await worker().sample(0)).rows);
    });
  });
