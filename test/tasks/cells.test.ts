import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from '../../model/cells.ts';
import { binOf } from '../../model/gaussian/splits.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { nd } from '../../proto/tensors.ts';
import type { TaskOf } from '../../tasks/table.ts';
import { backends } from '../worker/present.ts';
import { agrees, argmax, D, logitsOf, type Matrix, randomMatrix, range, sum } from '../worker/support.ts';
import { covarianceOf, f64, momentSums, run, SHARDS, w } from './support.ts';

for (const backend of backends)
  describe(`cells on ${backend.identity}`, () => {
    const VECTORS = [
      [-3, -20, 0.1],
      [4, 0, -0.2],
      [0, 50, 0.3],
      [1, 0, 0],
      [0.6, 0.08, 2],
    ];
    /** Nested: by the nearest of three centres, one of these cells by two thresholds, one a leaf, one none. */
    const NESTED: Cell = {
      near: [0, 1, 2],
      into: [{ axis: 3, at: -1.25, into: [0, { axis: 4, at: 0.5, into: [-1, 1] }] }, 2, -1],
    };
    const SPLIT: Cell = { axis: 3, at: 0.3, into: [3, 4] };
    const LINEAR: Cell = { linear: [3, 4, 0], offsets: [0.5, -0.25, -30], into: [1, SPLIT, 0] };
    const PARTITIONS: Record<string, { groups: 'all' | 'net' | 'sub-net'; cells: Cell[]; leaves: number }> = {
      'all rows': { groups: 'all', cells: [NESTED], leaves: 3 },
      'all rows, one leaf': { groups: 'all', cells: [0], leaves: 1 },
      'labels of the net': { groups: 'net', cells: [NESTED, SPLIT, -1], leaves: 5 },
      'the same leaf twice': { groups: 'net', cells: [1, 0, 1], leaves: 2 },
      'labels of the sub-nets': { groups: 'sub-net', cells: [0, 1, SPLIT, 2, -1, 0], leaves: 5 },
      'linear functions': { groups: 'net', cells: [LINEAR, NESTED, 2], leaves: 5 },
      'no leaf': { groups: 'net', cells: [-1, -1, -1], leaves: 1 },
    };

    const dot = (a: number[], b: number[]) => sum(a.map((v, i) => v * b[i]));
    function leafOf(cell: Cell, x: number[]): number {
      if (typeof cell === 'number') return cell;
      if ('axis' in cell) return leafOf(cell.into[dot(x, VECTORS[cell.axis]) < cell.at ? 0 : 1], x);
      if ('linear' in cell) {
        const values = cell.linear.map((v, i) => dot(x, VECTORS[v]) + cell.offsets[i]);
        return leafOf(cell.into[argmax(values)], x);
      }
      const squares = cell.near.map((v) => sum(x.map((value, d) => (value - VECTORS[v][d]) ** 2)));
      return leafOf(cell.into[squares.indexOf(Math.min(...squares))], x);
    }

    /** Rows of each leaf, in the model's coordinates. */
    function members({ groups, cells, leaves }: (typeof PARTITIONS)[string], shard: number): Matrix[] {
      const out: Matrix[] = range(leaves).map(() => []);
      for (const row of w.sampleOf(shard)) {
        const z = w.label(row);
        const side = argmax(logitsOf(w.subs, w.y(row), z));
        const x = w.x(row);
        const leaf = leafOf(cells[{ all: 0, net: z, 'sub-net': 2 * z + side }[groups]], x);
        if (leaf >= 0) out[leaf].push(x);
      }
      return out;
    }

    const prepared = () => {
      const worker = w.newWorker(backend);
      worker.put('vectors', { rows: nd(Float64Array.from(VECTORS.flat()), VECTORS.length, D) });
      return worker;
    };
    const pivotsOf = (leaves: number) => randomMatrix(5, leaves, D, 2);

    for (const [name, partition] of Object.entries(PARTITIONS)) {
      test(`sums: ${name}`, async () => {
        const worker = prepared();
        for (const shard of SHARDS) {
          const result = await run(worker, { task: 'cell-sums', vectors: 'vectors', ...partition }, shard);
          const expected = members(partition, shard);
          assert.deepEqual(
            [...f64(result, 'n')],
            expected.map((rows) => rows.length),
          );
          assert.deepEqual(result.s.shape, [partition.leaves, D]);
          agrees(
            f64(result, 's'),
            expected.flatMap((rows) => range(D).map((d) => sum(rows.map((x) => x[d])))),
            2e-6,
          );
        }
      });

      for (const diagonal of [false, true])
        test(`scatter: ${name}, ${covarianceOf(diagonal)}`, async () => {
          const worker = prepared();
          const pivots = pivotsOf(partition.leaves);
          worker.put('pivots7', { rows: nd(Float64Array.from(pivots.flat()), partition.leaves, D) });
          const result = await run(
            worker,
            { task: 'cell-scatter', vectors: 'vectors', pivots: 'pivots7', diagonal, ...partition },
            1,
          );
          const cov = covarianceOf(diagonal);
          const expected = members(partition, 1).flatMap((rows, leaf) =>
            momentSums(
              rows.map((x) => x.map((v, d) => v - pivots[leaf][d])),
              cov,
            ),
          );
          assert.deepEqual(result.T.shape, [partition.leaves, statisticsLength(D, cov)]);
          agrees(f64(result, 'T'), expected, 2e-6);
        });

      for (const [perLeaf, bins] of [
        [1, 1024],
        [3, 50],
      ])
        test(`histogram: ${name}, ${perLeaf} axes a leaf`, async () => {
          const worker = prepared();
          const count = perLeaf * partition.leaves;
          const axes = randomMatrix(8, count, D);
          const centre = range(count).map((a) => a - 1);
          const sd = range(count).map((a) => (a === 1 ? 0 : 3 + a));
          worker.put('axes', {
            rows: nd(Float64Array.from(axes.flat()), count, D),
            centre: nd(Float64Array.from(centre)),
            sd: nd(Float64Array.from(sd)),
          });
          const task = {
            task: 'cell-histogram',
            vectors: 'vectors',
            axes: 'axes',
            bins,
            ...partition,
          } as const;
          const { counts } = await run(worker, task, 0);
          assert.deepEqual(counts.shape, [count, bins]);
          members(partition, 0).forEach((rows, leaf) => {
            for (const a of range(perLeaf).map((i) => leaf * perLeaf + i)) {
              const own = counts.data.subarray(a * bins, (a + 1) * bins);
              const expected = rows.map((x) => binOf(dot(x, axes[a]), centre[a], sd[a], bins));
              assert.equal(sum(own), rows.length);
              // Rounding may move a row at the edge of a bin: cumulative counts differ by at most one.
              let seen = 0;
              own.forEach((count, bin) => {
                seen += count;
                const below = expected.filter((b) => b <= bin).length;
                assert.ok(Math.abs(seen - below) <= 1, `axis ${a}, bin ${bin}: ${seen}, not ${below}`);
              });
            }
          });
        });

      test(`fourth moments: ${name}`, async () => {
        const worker = prepared();
        const { leaves } = partition;
        const centre = randomMatrix(6, leaves, D);
        // Some rows are shortened, others not.
        const inverse = range(leaves).map((leaf) => randomMatrix(20 + leaf, D, D, 0.3));
        worker.put('whitening', {
          centre: nd(Float64Array.from(centre.flat()), leaves, D),
          inverse: nd(Float64Array.from(inverse.flat(2)), leaves, D, D),
        });
        const task = {
          task: 'cell-fourth-moments',
          vectors: 'vectors',
          whitening: 'whitening',
          ...partition,
        } as const;
        const { F } = await run(worker, task, 2);
        assert.deepEqual(F.shape, [leaves, D, D]);
        const expected = members(partition, 2).flatMap((rows, leaf) => {
          const us = rows.map((x) => {
            const u = inverse[leaf].map((row) =>
              dot(
                row,
                x.map((v, d) => v - centre[leaf][d]),
              ),
            );
            const norm = Math.hypot(...u);
            return u.map((v) => v * Math.min(1, (2 * Math.sqrt(D)) / norm));
          });
          return range(D * D).map((p) => sum(us.map((u) => dot(u, u) * u[Math.floor(p / D)] * u[p % D])));
        });
        agrees(F.data, expected, 2e-6);
      });
    }

    test('fourth moments: no row counts for more than one of length 2√D, and one at the centre for nothing', async () => {
      const worker = prepared();
      const of = async (centre: number[], by: number) => {
        const inverse = range(D * D).map((p) => (p % (D + 1) ? 0 : by));
        worker.put('whitening', {
          centre: nd(Float64Array.from(centre), 1, D),
          inverse: nd(Float64Array.from(inverse), 1, D, D),
        });
        const task: TaskOf<'cell-fourth-moments'> = {
          ...{ task: 'cell-fourth-moments', groups: 'all', cells: [0], leaves: 1 },
          ...{ vectors: 'vectors', whitening: 'whitening' },
        };
        const { F } = await run(worker, task);
        return F.data;
      };
      assert.ok((await of([0, 0, 0], 0)).every((v) => v === 0));
      const far = await of([1e6, -2e6, 3e6], 1e30);
      // ‖u‖⁴ of each row.
      const most = w.sampleOf(0).length * (4 * D) ** 2;
      agrees([sum(range(D).map((d) => far[d * (D + 1)]))], [most], 1e-9);
    });
  });
