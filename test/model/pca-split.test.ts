import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  BINS,
  bestThreshold,
  binOf,
  likeliestThreshold,
  principalAxis,
} from '../../model/gaussian/splits.ts';
import { whitener } from '../../model/linalg.ts';
import { COVARIANCES, close, forAll, normalRows, positiveDefinite, statisticsOf } from './support.ts';

function histogramOf(values: number[], centre: number, sd: number, bins = BINS): Float64Array {
  const histogram = new Float64Array(bins);
  for (const v of values) histogram[binOf(v, centre, sd, bins)]++;
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
    forAll([fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d, maxLength: d })], (raw) => {
      const length = Math.hypot(...raw);
      fc.pre(length > 1e-3);
      assert.ok(sdAlong(raw.map((v) => v / length)) <= principal.sd * (1 + 1e-12));
    });
  });

  for (const covariance of COVARIANCES)
    test(`in a metric, the axis has the largest variance in proportion to that of the metric (${covariance})`, () => {
      const d = 3;
      const rows = normalRows(13, 400, d).map((v, p, all) =>
        p % d === 2 ? 0.3 * v + 2 * all[p - 1] : v + 4,
      );
      const along = (axis: ArrayLike<number>) =>
        Array.from({ length: 400 }, (_, i) => [0, 1, 2].reduce((s, j) => s + axis[j] * rows[i * d + j], 0));
      const axes =
        covariance === 'full'
          ? fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: d, maxLength: d })
          : fc.constantFrom([1, 0, 0], [0, 1, 0], [0, 0, 1]);
      forAll([fc.integer({ min: 1, max: 1e6 }), axes], (seed, other) => {
        fc.pre(Math.hypot(...other) > 1e-3);
        const metric = positiveDefinite(seed, d, covariance);
        const found = principalAxis(
          statisticsOf(rows, d, covariance),
          d,
          covariance,
          whitener(metric, d, covariance),
        );
        const relative = (axis: ArrayLike<number>) => {
          const [a, m] = [Array.from(axis), Array.from(metric)];
          const norm =
            covariance === 'full'
              ? a.reduce((s, v, i) => s + v * a.reduce((t, u, j) => t + u * m[i * d + j], 0), 0)
              : a.reduce((s, v, i) => s + v * v * m[i], 0);
          return moments(along(axis)).sd ** 2 / norm;
        };
        close(moments(along(found.axis)).sd / found.sd, 1, 1e-9);
        assert.ok(relative(other) <= relative(found.axis) * (1 + 1e-9));
      });
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
    forAll([fc.array(fc.integer({ min: 0, max: BINS - 1 }), { minLength: 5, maxLength: 40 })], (bins) => {
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
    });
  });

  test('no split: fewer than five rows, or all in one bin', () => {
    assert.equal(bestThreshold(histogramOf([1, 2, 3, 4], 2.5, 1), 2.5, 1), null);
    assert.equal(bestThreshold(histogramOf([1, 1, 1, 1, 1, 1], 1, 0), 1, 0), null);
    assert.notEqual(bestThreshold(histogramOf([1, 2, 3, 4, 5], 3, 1), 3, 1), null);
  });

  const gaussianGain = (values: number[], cut: number, width: number) => {
    const term = (side: number[]) => {
      const n = side.length;
      return n * (Math.log(n) - Math.log(moments(side).sd ** 2 + width ** 2) / 2);
    };
    const [left, right] = [values.filter((v) => v < cut), values.filter((v) => v >= cut)];
    return Math.min(left.length, right.length) < 5 ? -Infinity : term(left) + term(right) - term(values);
  };

  test('the likeliest threshold is the brute-force one for two Gaussians, with at least five rows each', () => {
    forAll([fc.array(fc.integer({ min: 0, max: 63 }), { minLength: 10, maxLength: 60 })], (bins) => {
      const [centre, sd] = [-2, 0.7];
      const width = (12 * sd) / 64;
      const values = bins.map((bin) => centre + (bin + 0.5 - 32) * width);
      const found = likeliestThreshold(histogramOf(values, centre, sd, 64), centre, sd);
      const cuts = [...new Set(values)].sort((a, b) => a - b).slice(1);
      const most = Math.max(...cuts.map((cut) => gaussianGain(values, cut, width)));
      if (!(most > -Infinity)) return assert.equal(found, null);
      close(found!.gain, most, 1e-9);
      close(gaussianGain(values, found!.at, width), most, 1e-9);
    });
  });

  test('no likeliest threshold: too few rows, or all in one bin; equal rows gain nothing', () => {
    const of = (values: number[], centre: number, sd: number) =>
      likeliestThreshold(histogramOf(values, centre, sd, 256), centre, sd);
    assert.equal(of([1, 2, 3, 4], 2.5, 1), null);
    assert.equal(of([1, 2, 3, 4, 5, 6, 7, 8, 9], 5, 3), null, 'not five on each side');
    assert.equal(of([1, 1, 1, 1, 1, 1], 1, 0), null);
    // Ten equal rows in a Gaussian are not a cluster.
    const gaussian = normalRows(6, 1000, 1);
    const { centre, sd } = moments(gaussian);
    const least = of(gaussian, centre, sd)!.gain;
    assert.ok(of([...gaussian, ...Array(10).fill(0.3)], centre, sd)!.gain < least + 10);
  });
});
