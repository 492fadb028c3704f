import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bestSoftSplit } from '../../../model/gaussian/soft-split.ts';
import { alongAxes, byMeans, inAllColumns, nonGaussianAxes } from '../../../model/gaussian/starts.ts';
import { generator } from '../../../model/random.ts';
import { randomNumbers } from '../../coordinator/fit/support.ts';
import { oneCluster } from './one-cluster.ts';

/** A ring in the sum and difference of the first two of ten columns, as wide across as in the others; and whether rows are right of its centre. */
function ringInTen() {
  const { normal, uniform } = randomNumbers(3);
  const [n, d] = [1200, 10];
  const angles = Array.from({ length: n }, () => 2 * Math.PI * uniform());
  const rows = angles.flatMap((angle) => {
    const radius = 1 + 0.1 * normal();
    const [x, y] = [radius * Math.cos(angle), radius * Math.sin(angle)];
    return [x + y, x - y, ...Array.from({ length: d - 2 }, () => 0.1 * normal())];
  });
  return { angles, ...oneCluster(rows, d) };
}

describe('axes along which rows are not Gaussian', () => {
  test('are those of a ring, among eight of noise', () => {
    const { rows, start } = ringInTen();
    const axes = nonGaussianAxes(rows, start)!;
    assert.ok(axes.length >= 2 && axes.length <= 4, `${axes.length} axes`);
    const within = axes.map((axis) => Math.hypot(axis[0], axis[1]) / Math.hypot(...axis));
    assert.equal(within.filter((share) => share > 0.95).length, 2, `${within}`);
  });

  test('none are named where all are, or none', () => {
    const { uniform, normal } = randomNumbers(1);
    const square = oneCluster(
      Array.from({ length: 2000 }, () => uniform()),
      2,
    );
    assert.equal(nonGaussianAxes(square.rows, square.start), null);
    const gaussian = oneCluster(
      Array.from({ length: 2000 }, () => normal()),
      2,
    );
    assert.equal(nonGaussianAxes(gaussian.rows, gaussian.start), null);
  });

  test('tell k-means where to cut', () => {
    const { angles, rows, start } = ringInTen();
    /** The mean length of the parts' mean directions: 1 where each is one angle of the ring, 0 where all are all round it. */
    const directed = (r: Float64Array, m: number) => {
      const sums = Array.from({ length: m }, () => [0, 0]);
      for (const [i, angle] of angles.entries()) {
        const part = r.subarray(i * m, (i + 1) * m).indexOf(1);
        sums[part][0] += Math.cos(angle);
        sums[part][1] += Math.sin(angle);
      }
      return sums.reduce((sum, [x, y]) => sum + Math.hypot(x, y), 0) / angles.length;
    };
    const rng = () => generator(1n, 'starts');
    const along = byMeans(alongAxes(rows, nonGaussianAxes(rows, start)!), 8, rng());
    const all = byMeans(inAllColumns(rows, start), 8, rng());
    assert.ok(directed(along, 8) > 0.8, `${directed(along, 8)}`);
    assert.ok(directed(all, 8) < 0.7, `${directed(all, 8)}`);
  });

  test('let a split find a ring that eight columns of noise hide', () => {
    const { rows, priorOf } = ringInTen();
    const found = bestSoftSplit(rows, priorOf, 10, 1, generator(1n, 'soft-split'))!;
    assert.ok(found.T.length >= 5, `${found.T.length} parts`);
    assert.ok(found.logRatio > 400, `${found.logRatio} nats`);
  });
});
