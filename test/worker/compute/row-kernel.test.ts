import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from '../../../model/cells.ts';
import { generator } from '../../../model/random.ts';
import { type Covariance, statisticsLength } from '../../../model/statistics.ts';
import { rowKernel } from '../../../worker/compute/kernels/row-kernel.ts';
import { accumulate } from '../../model/support.ts';

const kernel = rowKernel();
const rng = generator(11n, 'row kernel');
const floats = (n: number) => Float32Array.from({ length: n }, () => 3 * rng.normal());
const doubles = (n: number) => Float64Array.from({ length: n }, () => rng.normal());
/** A leaf for each of n rows, or none. */
const leafOfEach = (n: number, leaves: number) =>
  Int32Array.from({ length: n }, () => rng.below(leaves + 1) - 1);

describe('passes over rows agree to the bit with plain loops', () => {
  for (const covariance of ['full', 'diag'] as Covariance[])
    for (const d of [1, 2, 3, 10, 33])
      test(`statistics by leaf: ${covariance}, ${d} columns`, () => {
        const leaves = 7;
        const p = statisticsLength(d, covariance);
        const pivots = doubles(leaves * d);
        const expected = new Float64Array(leaves * p);
        const statistics = kernel.scatter(pivots, d, covariance);
        for (const n of [0, 1, 50, 300]) {
          const rows = floats(n * d);
          const leaf = leafOfEach(n, leaves);
          leaf.forEach((l, i) => {
            if (l < 0) return;
            const centred = Float64Array.from({ length: d }, (_, j) => rows[i * d + j] - pivots[l * d + j]);
            accumulate(expected, l * p, centred, 0, d, covariance, 1);
          });
          statistics.add(rows, leaf);
          // Other calls in between have no effect.
          kernel.sums(rows, d, leaf, leaves);
        }
        assert.ok(expected.some((value) => value !== 0));
        assert.deepEqual(statistics.read(), expected);
      });

  test('statistics larger than the initial memory, then small ones', () => {
    const [d, leaves] = [120, 60];
    const rows = floats(90 * d);
    const leaf = Int32Array.from({ length: 90 }, (_, i) => i % leaves);
    const large = kernel.scatter(new Float64Array(leaves * d), d, 'full');
    large.add(rows, leaf);
    const p = statisticsLength(d, 'full');
    const expected = new Float64Array(leaves * p);
    leaf.forEach((l, i) => {
      accumulate(expected, l * p, rows, i * d, d, 'full', 1);
    });
    assert.deepEqual(large.read(), expected);
    const small = kernel.scatter(new Float64Array(1), 1, 'diag');
    small.add(Float32Array.of(2, 3), new Int32Array(2));
    assert.deepEqual([...small.read()], [2, 5, 13]);
  });

  test('the leaf of each row by cells of any depth', () => {
    const [n, d, vectorRows] = [400, 4, 12];
    const vectors = doubles(vectorRows * d);
    let leaves = 0;
    const draw = (depth: number): Cell => {
      const kind = depth === 0 ? 0 : rng.below(5);
      if (kind === 0) return rng.below(5) === 0 ? -1 : leaves++;
      const into = (count: number) => Array.from({ length: count }, () => draw(depth - 1));
      if (kind === 1) return { axis: rng.below(vectorRows), at: rng.normal(), into: into(2) };
      const several = Array.from({ length: 1 + rng.below(5) }, () => rng.below(vectorRows));
      if (kind === 2) return { near: several, into: into(several.length) };
      return { linear: several, offsets: several.map(() => rng.normal()), into: into(several.length) };
    };
    const leafOf = (cell: Cell, row: Float32Array): number => {
      if (typeof cell === 'number') return cell;
      const vector = (v: number) => vectors.subarray(v * d, (v + 1) * d);
      if ('axis' in cell) {
        const along = vector(cell.axis).reduce((sum, value, j) => sum + row[j] * value, 0);
        return leafOf(cell.into[along >= cell.at ? 1 : 0], row);
      }
      if ('linear' in cell) {
        const values = cell.linear.map(
          (v, i) => vector(v).reduce((sum, value, j) => sum + row[j] * value, 0) + cell.offsets[i],
        );
        return leafOf(cell.into[values.indexOf(Math.max(...values))], row);
      }
      const distances = cell.near.map((v) =>
        vector(v).reduce((sum, value, j) => sum + (row[j] - value) * (row[j] - value), 0),
      );
      return leafOf(cell.into[distances.indexOf(Math.min(...distances))], row);
    };
    const seen = new Set<number>();
    for (let repeat = 0; repeat < 50; repeat++) {
      const cells = Array.from({ length: 1 + rng.below(4) }, () => draw(4));
      const rows = floats(n * d);
      const group = cells.length > 1 ? Int32Array.from({ length: n }, () => rng.below(cells.length)) : null;
      const expected = Int32Array.from({ length: n }, (_, i) =>
        leafOf(cells[group ? group[i] : 0], rows.subarray(i * d, (i + 1) * d)),
      );
      for (const leaf of expected) seen.add(leaf);
      assert.deepEqual(kernel.leaves(rows, d, cells, vectors, group), expected);
    }
    assert.ok(seen.size > 50 && seen.has(-1));
  });

  test('the first of equally near centres or equally large functions applies; the upper side has the threshold', () => {
    const rows = Float32Array.of(0, 1, 2);
    const near = [{ near: [0, 1, 2], into: [0, 1, 2] }];
    assert.deepEqual([...kernel.leaves(rows, 1, near, Float64Array.of(0, 2, 2), null)], [0, 0, 1]);
    const linear = [{ linear: [0, 1, 1], offsets: [2, 0, 0], into: [0, 1, 2] }];
    assert.deepEqual([...kernel.leaves(rows, 1, linear, Float64Array.of(0, 2), null)], [0, 0, 1]);
    const side = [{ axis: 0, at: 1, into: [5, 6] }];
    assert.deepEqual([...kernel.leaves(rows, 1, side, Float64Array.of(1), null)], [5, 6, 6]);
  });
});

describe('soft statistics are those of plain loops', () => {
  for (const covariance of ['full', 'diag'] as Covariance[])
    for (const d of [1, 2, 5, 32])
      test(`${covariance}, ${d} columns, any number of rows for a cluster`, () => {
        const k = 6;
        const p = statisticsLength(d, covariance);
        const pivots = doubles(k * d);
        const statistics = kernel.softScatter(pivots, d, covariance);
        const expected = new Float64Array(k * p);
        const least = 0.25;
        for (const n of [0, 1, 3, 4, 90]) {
          const rows = floats(n * d);
          // Cluster 0 has no rows, cluster 1 all; one responsibility is exactly `least`.
          const r = Float32Array.from({ length: n * k }, (_, i) => (i % k ? rng.uniform() : 0));
          for (let i = 0; i < n; i++) r[i * k + 1] = least;
          for (let i = 0; i < n; i++)
            for (let c = 0; c < k; c++) {
              if (r[i * k + c] < least) continue;
              const centred = Float64Array.from({ length: d }, (_, j) => rows[i * d + j] - pivots[c * d + j]);
              accumulate(expected, c * p, centred, 0, d, covariance, r[i * k + c]);
            }
          statistics.add(rows, r, least);
          kernel.sums(rows, d, new Int32Array(n), 1);
        }
        const found = statistics.read();
        assert.ok(expected.subarray(0, p).every((value) => value === 0));
        assert.deepEqual(found.subarray(0, p), expected.subarray(0, p));
        assert.equal(found[p], 98 * least);
        found.forEach((value, i) => {
          assert.ok(Math.abs(value - expected[i]) < 1e-11, `${i}: ${value}, ${expected[i]}`);
        });
      });

  test('a responsibility that is NaN makes those of its cluster NaN, and no others', () => {
    const statistics = kernel.softScatter(new Float64Array(2), 1, 'full');
    statistics.add(Float32Array.of(3, 5), Float32Array.of(Number.NaN, 0.5, 0.5, 0.5), 0.1);
    const T = statistics.read();
    assert.ok(T.subarray(0, 3).every(Number.isNaN), `${T}`);
    assert.deepEqual([...T.subarray(3)], [1, 4, 17]);
  });

  test('from 0 on all responsibilities count but those that are 0', () => {
    const statistics = kernel.softScatter(new Float64Array(2), 1, 'diag');
    statistics.add(Float32Array.of(3, 5), Float32Array.of(0, 1, 1e-30, 1), 0);
    assert.deepEqual(
      [...statistics.read()].map(Math.fround),
      [1e-30, 5e-30, 25e-30, 2, 8, 34].map(Math.fround),
    );
  });
});
