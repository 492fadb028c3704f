import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BINS, bestThreshold, binOf, principalAxis } from '../../model/pca-split.ts';
import { close, normalRows, statisticsOf } from './support.ts';

function histogramOf(values: number[], centre: number, sd: number): Float64Array {
  const histogram = new Float64Array(BINS);
  for (const v of values) histogram[binOf(v, centre, sd)]++;
  return histogram;
}

function moments(values: number[]): { centre: number; sd: number } {
  const centre = values.reduce((a, b) => a + b, 0) / values.length;
  return { centre, sd: Math.sqrt(values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / values.length) };
}

/** Sum of squared deviations of both parts from their own means. */
function withinSides(values: number[], isLeft: (v: number) => boolean): number {
  const squares = (side: number[]) => (side.length ? side.length * moments(side).sd ** 2 : 0);
  return squares(values.filter(isLeft)) + squares(values.filter((v) => !isLeft(v)));
}

describe('pca-split', () => {
  test('the principal axis maximises the variance of the projections', () => {
    const d = 3;
    const rows = normalRows(11, 500, d).map((v, p, all) => (p % d === 2 ? 0.3 * v + 2 * all[p - 1] : v + 4));
    const principal = principalAxis(statisticsOf(rows, d, 'full'), d, 'full');
    const sdAlong = (axis: ArrayLike<number>) =>
      moments(
        Array.from({ length: 500 }, (_, i) => [0, 1, 2].reduce((s, j) => s + axis[j] * rows[i * d + j], 0)),
      ).sd;
    close(sdAlong(principal.axis), principal.sd, 1e-12);
    close(
      principal.axis.reduce((s, v) => s + v * v, 0),
      1,
      1e-12,
    );
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d, maxLength: d }),
        (raw) => {
          const length = Math.hypot(...raw);
          fc.pre(length > 1e-3);
          assert.ok(sdAlong(raw.map((v) => v / length)) <= principal.sd * (1 + 1e-12));
        },
      ),
    );
  });

  test('diagonal: the coordinate axis of the largest variance', () => {
    const rows = normalRows(12, 200, 3).map((v, p) => v * [1, 5, 2][p % 3]);
    const principal = principalAxis(statisticsOf(rows, 3, 'diag'), 3, 'diag');
    assert.deepEqual([...principal.axis], [0, 1, 0]);
    close(principal.sd, moments(rows.filter((_, p) => p % 3 === 1)).sd, 1e-12);
  });

  test('no rows: sd 0, a unit axis', () => {
    for (const cov of ['full', 'diag'] as const) {
      const principal = principalAxis(statisticsOf([], 2, cov), 2, cov);
      assert.equal(principal.sd, 0);
      assert.equal(Math.hypot(...principal.axis), 1);
    }
  });

  test('bins cover mean ± 6 sd, ends clamped', () => {
    assert.equal(binOf(3, 3, 2), BINS / 2);
    assert.equal(binOf(3 - 12 + 1e-9, 3, 2), 0);
    assert.equal(binOf(3 + 12 - 1e-9, 3, 2), BINS - 1);
    assert.equal(binOf(-1e9, 3, 2), 0);
    assert.equal(binOf(1e9, 3, 2), BINS - 1);
    assert.equal(binOf(7, 3, 0), 0);
  });

  test('the threshold is the brute-force two-means cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: BINS - 1 }), { minLength: 5, maxLength: 40 }),
        (bins) => {
          // Values at the midpoint of a bin are exact in the histogram, so the cut must be exactly optimal.
          const [centre, sd] = [-2, 0.7];
          const values = bins.map((bin) => centre + (bin + 0.5 - BINS / 2) * ((12 * sd) / BINS));
          const threshold = bestThreshold(histogramOf(values, centre, sd), centre, sd);
          const cuts = [...new Set(values)].sort((a, b) => a - b).slice(1);
          if (!cuts.length) return assert.equal(threshold, null);
          const least = Math.min(...cuts.map((cut) => withinSides(values, (v) => v < cut)));
          close(
            withinSides(values, (v) => v < threshold!),
            least,
            1e-9,
          );
        },
      ),
    );
  });

  test('two groups are separated without error', () => {
    const values = [...normalRows(1, 300, 1, [-5]), ...normalRows(2, 100, 1, [5])];
    const { centre, sd } = moments(values);
    const threshold = bestThreshold(histogramOf(values, centre, sd), centre, sd)!;
    assert.equal(values.filter((v) => v >= threshold).length, 100);
  });

  test('rows are on the same side of the threshold as their bin', () => {
    const values = normalRows(3, 5000, 1, [40]);
    const { centre, sd } = moments(values);
    const threshold = bestThreshold(histogramOf(values, centre, sd), centre, sd)!;
    const bins = (side: number[]) => side.map((v) => binOf(v, centre, sd));
    const left = Math.max(...bins(values.filter((v) => v < threshold)));
    const right = Math.min(...bins(values.filter((v) => v >= threshold)));
    assert.ok(left < right, `${left} < ${right}`);
  });

  test('no split: fewer than five rows, or all in one bin', () => {
    assert.equal(bestThreshold(histogramOf([1, 2, 3, 4], 2.5, 1), 2.5, 1), null);
    assert.equal(bestThreshold(histogramOf([1, 1, 1, 1, 1, 1], 1, 0), 1, 0), null);
    assert.notEqual(bestThreshold(histogramOf([1, 2, 3, 4, 5], 3, 1), 3, 1), null);
  });
});
