import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MOST_AXES, shapeAxes } from '../../model/gaussian/splits.ts';
import { whitener } from '../../model/linalg.ts';
import { mean, scatter } from '../../model/statistics.ts';
import { fourthMoments } from '../coordinator/fit/support.ts';
import { close, normalRows, normals, statisticsOf } from './support.ts';

function rowsOf(all: ArrayLike<number>, d: number): number[][] {
  const numbers = Array.from(all);
  return Array.from({ length: all.length / d }, (_, i) => numbers.slice(i * d, (i + 1) * d));
}

/** The shape axes of rows, and the rows' projections on each, from their mean. */
function axesOf(all: ArrayLike<number>, d: number) {
  const T = statisticsOf(all, d, 'full');
  const centre = mean(T, d);
  const inverse = whitener(
    scatter(T, d, 'full').map((value) => value / T[0]),
    d,
    'full',
  );
  const axes = shapeAxes(fourthMoments(rowsOf(all, d), { centre, inverse }), d, inverse);
  const rows = rowsOf(all, d);
  const projections = axes.map((axis) =>
    rows.map((row) => row.reduce((sum, value, j) => sum + axis[j] * (value - centre[j]), 0)),
  );
  return { axes, projections };
}

/** |correlation| of numbers with a mean of 0. */
function correlation(x: number[], y: number[]): number {
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  return Math.abs(dot(x, y)) / Math.sqrt(dot(x, x) * dot(y, y));
}
function centred(x: number[]): number[] {
  const mean = x.reduce((a, b) => a + b) / x.length;
  return x.map((value) => value - mean);
}

/** n rows with a coordinate of two parts, the second a `share` of the rows and `apart` from the first, beside d − 1 Gaussian ones. */
function twoParts(seed: number, n: number, d: number, share: number, apart: number, wide: number): number[] {
  const next = normals(seed);
  return Array.from({ length: n * d }, (_, p) => {
    if (p % d) return wide * next();
    return next() + (Math.floor(p / d) < share * n ? apart : 0);
  });
}

describe('shape axes', () => {
  for (const [name, share, apart] of [
    ['two balanced halves', 0.5, 6],
    ['a minority of 5 %', 0.05, 8],
  ] as const)
    test(`of the least or the most kurtosis: ${name} beside wide Gaussian axes`, () => {
      for (const d of [2, 5, 12]) {
        const rows = twoParts(d, 3000, d, share, apart, 50);
        const { projections } = axesOf(rows, d);
        const wanted = centred(rowsOf(rows, d).map(([first]) => first));
        // The least kurtosis comes last, the most first.
        const found = correlation(share === 0.5 ? projections.at(-1)! : projections[0], wanted);
        assert.ok(found > 0.97, `${d} columns: ${found}`);
      }
    });

  test('have a standard deviation of 1 and are as many as columns, at most eight: half with the least, half with the most kurtosis', () => {
    for (const d of [1, 2, 3, 8, 11]) {
      const { axes, projections } = axesOf(normalRows(d, 300, d), d);
      assert.equal(axes.length, Math.min(d, MOST_AXES));
      for (const along of projections) close(Math.hypot(...along) / Math.sqrt(300), 1, 1e-9);
      for (const [i, along] of projections.entries())
        for (const other of projections.slice(0, i)) assert.ok(correlation(along, other) < 1e-9);
    }
    // Eleven columns: F with eigenvalues in order, so the axes are the first four and the last four.
    const d = 11;
    const F = Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0 : d - p / (d + 1)));
    const identity = F.map((value) => Number(value > 0));
    assert.deepEqual(
      shapeAxes(F, d, identity).map((axis) => axis.indexOf(1)),
      [0, 1, 2, 3, 7, 8, 9, 10],
    );
  });
});
