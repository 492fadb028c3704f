import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { normalizeRows } from '../../../data/steps/unit.ts';
import { columnSketch, sketched } from '../../../model/principal-axes.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { createStates } from '../../../tasks/compute/context.ts';
import { runTask } from '../../../tasks/compute/table.ts';
import { close } from '../../model/support.ts';
import { backends } from '../../worker/present.ts';
import { agrees, contextOf, D, hashesState, memoryBlocks, range, sum } from '../../worker/support.ts';
import { newWorker, of, run, runAll, SHARDS, w } from './support.ts';

const { columns } = of.states;
const COLUMNS = [2, 0];
const [LOW, HIGH] = [
  [4.75, 4],
  [5.35, 11],
];
const FENCED: Tensors = {
  ...columns,
  fenced: nd(Int32Array.from(COLUMNS)),
  low: nd(Float32Array.from(LOW)),
  high: nd(Float32Array.from(HIGH)),
};

const isInside = (row: number) =>
  COLUMNS.every((column, c) => {
    const value = w.raw[row * D + column];
    return value >= Math.fround(LOW[c]) && value <= Math.fround(HIGH[c]);
  });

/** A row after the column map, in float32 as workers compute it. */
function mapped(row: number, unit: boolean): number[] {
  const { shift, factor } = columns;
  const x = Float32Array.from(range(D), (d) =>
    Math.fround(Math.fround(w.raw[row * D + d] * factor.data[d]) + shift.data[d]),
  );
  if (unit) normalizeRows(x, D);
  return [...x];
}

const products = (rows: number[][]) =>
  range(D * D).map((p) => sum(rows.map((x) => x[Math.floor(p / D)] * x[p % D])));

for (const backend of backends)
  describe(`features on ${backend.identity}`, () => {
    test('sample-covariance of a sketch: of the sums that columns are added to', async () => {
      const task = { task: 'sample-covariance', unit: true, every: 1, sketch: 8 } as const;
      const results = await runAll(newWorker(backend), task);
      const sketch = columnSketch(BigInt(w.layout.seed), D, 8);
      for (const shard of SHARDS) {
        const { n, s, S } = results[shard];
        const rows = w
          .sampleOf(shard)
          .map((row) => [...sketched(sketch, Float32Array.from(mapped(row, true)))]);
        assert.deepEqual([...n.data], [rows.length]);
        assert.deepEqual(S.shape, [8, 8]);
        for (const p of range(8)) close(s.data[p], sum(rows.map((y) => y[p])), 1e-4);
        for (const p of range(64))
          close(S.data[p], sum(rows.map((y) => y[Math.floor(p / 8)] * y[p % 8])), 1e-3);
      }
    });

    for (const [unit, fenced, every] of [
      [false, false, 1],
      [true, false, 1],
      [false, true, 1],
      [true, true, 3],
    ] as const)
      test(`sample-covariance: of every ${every}, ${unit ? 'unit rows' : 'rows'}${fenced ? ' within fences' : ''}`, async () => {
        const worker = newWorker(backend, fenced ? { columns: FENCED } : {});
        const results = await runAll(worker, { task: 'sample-covariance', unit, every, sketch: 0 });
        for (const shard of SHARDS) {
          const { n, s, S } = results[shard];
          const inside = w.sampleOf(shard).filter((row) => !fenced || isInside(row));
          const rows = inside.filter((_, i) => i % every === 0).map((row) => mapped(row, unit));
          assert.deepEqual([...n.data], [rows.length]);
          assert.deepEqual(S.shape, [D, D]);
          agrees(
            s.data,
            range(D).map((d) => sum(rows.map((x) => x[d]))),
            1e-12,
          );
          agrees(S.data, products(rows), 1e-5);
        }
        if (fenced) assert.ok(results.every(({ n }, shard) => n.data[0] < w.sampleOf(shard).length / every));
      });

    test('sample-covariance: of the largest numbers that are allowed does not overflow', async () => {
      const raw = w.raw.map((value, p) => ((p % 7) - 3) * 3e17 + 1e15 * value);
      const layout = w.layout;
      const states = createStates(backend);
      states.put('hashes', 1, hashesState(raw, layout));
      const map = { shift: nd(new Float32Array(D)), factor: nd(new Float32Array(D).fill(1)) };
      states.put('columns', 1, { ...map, below: nd(Float64Array.of(1)) });
      const context = contextOf(backend, states, memoryBlocks(raw, D), layout);
      const { n, S } = await runTask(
        context,
        { task: 'sample-covariance', unit: false, every: 1, sketch: 0 },
        w.unit(0),
      );
      const rows = w.rowsOf(0).map((row) => [...raw.subarray(row * D, (row + 1) * D)]);
      assert.deepEqual([...n.data], [rows.length]);
      agrees(S.data, products(rows), 1e-5);
    });

    test('sample-rows: the shard’s sample, as the model sees it', async () => {
      const worker = newWorker(backend);
      for (const shard of SHARDS) {
        const { rows } = await run(worker, { task: 'sample-rows' }, shard);
        const members = w.sampleOf(shard);
        assert.deepEqual(rows.shape, [members.length, D]);
        agrees(
          rows.data,
          members.flatMap((row) => w.x(row)),
          5e-6,
        );
        assert.deepEqual(rows.data, (await worker.context.sample(shard)).rows);
      }
    });

    test('a shard without a sample adds nothing', async () => {
      const none = { columns: { ...columns, below: nd(Float64Array.of(0)) } };
      const worker = newWorker(backend, none);
      const { n, s, S } = await run(worker, { task: 'sample-covariance', unit: true, every: 1, sketch: 0 });
      assert.deepEqual([...n.data], [0]);
      assert.deepEqual(s.data, new Float64Array(D));
      assert.deepEqual(S.data, new Float64Array(D * D));
      const { transform } = { transform: worker.context.states.get('transform') };
      worker.put('transform', { ...transform, below: nd(Float64Array.of(0)) });
      assert.deepEqual((await run(worker, { task: 'sample-rows' })).rows.shape, [0, D]);
    });
  });
