import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { moveOutliers, type OutlierBounds } from '../../data/steps/fences.ts';
import { keyOf } from '../../model/quantile-search.ts';
import { QUANTILES } from '../../model/widths.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { createStates } from '../../tasks/compute/context.ts';
import type { Task } from '../../tasks/table.ts';
import { close } from '../model/support.ts';
import { backends } from '../worker/present.ts';
import {
  bytes,
  centresState,
  contextOf,
  D,
  hashesState,
  memoryBlocks,
  momentsOf,
  range,
  type TestWorker,
  transformState,
  weightsOf,
} from '../worker/support.ts';
import { f64, momentSums, READING, run, SHARDS, w } from './support.ts';

const BINS = 16;
const COLUMNS = [2, 0];
const value = (row: number, column: number) => w.raw[row * D + column];
const HISTOGRAM: Task = { task: 'column-histogram', sample: w.below, bins: BINS };
const MOMENTS: Task = { task: 'fenced-moments', sample: w.below, diagonal: false };

/** Ranges of keys, some of which leave rows out. */
const [FROM, TO] = [
  [4.5, 5, 5.1, 4, 4, 5, 6, -1],
  [6, 5.2, 5.1, 1e9, 12, 5, 7, 1e18],
].map((numbers) => Uint32Array.from(numbers, keyOf));
const keyRanges = () => ({
  columns: nd(Int32Array.from(COLUMNS)),
  from: nd(FROM, COLUMNS.length, QUANTILES.length),
  to: nd(TO, COLUMNS.length, QUANTILES.length),
});

const LOW = [4.75, 4];
const HIGH = [5.35, 11];
const PIVOT = [5, 7, 5];
const fencesState = () => ({
  columns: nd(Int32Array.from(COLUMNS)),
  low: nd(Float32Array.from(LOW)),
  high: nd(Float32Array.from(HIGH)),
  nearLow: nd(Float32Array.of(4.8, 5)),
  nearHigh: nd(Float32Array.of(5.3, 10)),
  pivot: nd(Float64Array.from(PIVOT)),
});
const isBeyond = (row: number, c: number) =>
  value(row, COLUMNS[c]) < Math.fround(LOW[c]) || value(row, COLUMNS[c]) > Math.fround(HIGH[c]);
const isOutlier = (row: number) => isBeyond(row, 0) || isBeyond(row, 1);

/** The state of a transform with these fences. */
const FENCES: OutlierBounds = {
  columns: Int32Array.from(COLUMNS),
  low: Float32Array.from(LOW),
  high: Float32Array.from(HIGH),
  least: Float32Array.of(4.9, 6),
  most: Float32Array.of(5.2, 9),
};
const fencedTransform = () => transformState({ ...w.transform, fences: FENCES }, w.below);

for (const backend of backends)
  describe(`columns on ${backend.identity}`, () => {
    function newWorker(): TestWorker {
      const worker = w.newWorker(backend);
      worker.put('key-ranges', keyRanges());
      worker.put('fences', fencesState());
      worker.put('origin', { row: nd(Float64Array.from(PIVOT)) });
      return worker;
    }

    test('histograms within ranges of keys', async () => {
      for (const shard of SHARDS) {
        const counts = f64(await run(newWorker(), HISTOGRAM, shard), 'counts');
        const expected = new Float64Array(counts.length);
        for (const row of w.sampleOf(shard))
          for (const [c, column] of COLUMNS.entries())
            for (const q of QUANTILES.keys()) {
              const i = c * QUANTILES.length + q;
              const key = keyOf(value(row, column));
              if (key < FROM[i] || key > TO[i]) continue;
              let width = 1;
              while (Math.floor((TO[i] - FROM[i]) / width) >= BINS) width *= 2;
              expected[i * BINS + Math.floor((key - FROM[i]) / width)]++;
            }
        assert.deepEqual(counts, expected);
        assert.ok(expected.some((count) => count > 1));
      }
    });

    for (const diagonal of [false, true])
      test(`moments within fences${diagonal ? ', diagonal' : ''}`, async () => {
        for (const shard of SHARDS) {
          const result: Tensors = await run(newWorker(), { ...MOMENTS, diagonal } as Task, shard);
          const sample = w.sampleOf(shard);
          const rows = sample
            .filter((row) => !isOutlier(row))
            .map((row) => range(D).map((d) => value(row, d)));
          assert.ok(rows.length > 5 && rows.length < sample.length - 5);
          const centred = rows.map((row) => row.map((v, d) => v - PIVOT[d]));
          close(f64(result, 'T'), momentSums(centred, diagonal ? 'diag' : 'full'), 1e-12);
          const { min, max } = momentsOf(rows);
          assert.deepEqual([f64(result, 'min'), f64(result, 'max')], [min, max]);
          for (const [c, column] of COLUMNS.entries()) {
            assert.equal(f64(result, 'beyond')[c], sample.filter((row) => isBeyond(row, c)).length);
            const [nearLow, nearHigh] = [
              [4.8, 5.3],
              [5, 10],
            ][c].map(Math.fround);
            const isNear = (row: number) => value(row, column) < nearLow || value(row, column) > nearHigh;
            assert.equal(
              f64(result, 'near')[c],
              sample.filter((row) => isNear(row) && !isBeyond(row, c)).length,
            );
          }
        }
      });

    test('outliers are not trained on, whoever kept the sample', async () => {
      const task: Task = { task: 'statistics', diagonal: false, block: 32 };
      for (const shard of SHARDS) {
        const worker = newWorker();
        await run(worker, READING, shard);
        await run(worker, HISTOGRAM, shard);
        const all = bytes(await run(worker, task, shard));
        worker.put('transform', fencedTransform());
        const result: Tensors = await run(worker, task, shard);
        assert.notDeepEqual(bytes(result), all);
        const other = newWorker();
        other.put('transform', fencedTransform());
        assert.deepEqual(bytes(await run(other, task, shard)), bytes(result));
        const inside = w.sampleOf(shard).filter((row) => !isOutlier(row)).length;
        const n = f64(result, 'T').filter((_, p) => p % 10 === 0);
        close([n.reduce((a, b) => a + b)], [inside], 1e-5);
      }
    });

    test('the full pass flags outliers, and labels them where it moves them', async () => {
      const task: Task = { task: 'full-pass', diagonal: false, soft: false, silhouette: 0.3, far: 0 };
      const worker = newWorker();
      const plain = await run(worker, task);
      assert.ok(!('outliers' in plain));
      worker.put('transform', fencedTransform());
      const result = await run(worker, task);
      const rows = w.rowsOf(0);
      assert.deepEqual(
        [...result.outliers.data],
        rows.map((row) => Number(isOutlier(row))),
      );
      // Data whose outliers are where they are moved to.
      const raw = w.raw.slice();
      moveOutliers(raw, D, FENCES);
      const states = createStates(backend);
      states.put('transform', 1, transformState(w.transform, w.below));
      states.put('hashes', 1, hashesState(raw, w.layout));
      states.put('net', 1, weightsOf(w.net));
      states.put('cluster-centres', 1, centresState(3));
      const context = contextOf(backend, states, memoryBlocks(raw, D), w.layout);
      assert.deepEqual(result.labels, (await run({ context, put() {} }, task)).labels);
      for (const [i, row] of rows.entries())
        if (!isOutlier(row)) assert.equal(result.labels.data[i], plain.labels.data[i]);
      const counts = range(3).map(
        (k) => rows.filter((row, i) => !isOutlier(row) && result.labels.data[i] === k).length,
      );
      assert.deepEqual(
        [...f64(result, 'T')].filter((_, p) => p % 10 === 0),
        counts,
      );
    });
  });
