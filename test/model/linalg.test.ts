import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  cholesky,
  fourSquaredDistances,
  invertLower,
  logDet,
  packedLower,
  rank,
  squaredNorm,
  symmetricEigen,
  whitenedRows,
  whitener,
} from '../../model/linalg.ts';
import { scatter } from '../../model/statistics.ts';
import {
  COVARIANCES,
  close,
  normalRows,
  positiveDefinite,
  product,
  scipyValues,
  statisticsOf,
  transposed,
} from './support.ts';

const identity = (d: number) => Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) === 0 ? 1 : 0));

describe('linalg', () => {
  for (const { d, a: numbers, values, vectors, logdet } of scipyValues().eigen) {
    const a = Float64Array.from(numbers);

    test(`a ${d}×${d} matrix: equal to SciPy's`, () => {
      close(logDet(a, d), logdet, 1e-12);
      const eigen = symmetricEigen(a, d);
      close(eigen.values, values, 1e-12);
      for (let i = 0; i < d; i++) {
        const ours = eigen.vectors.slice(i * d, i * d + d);
        const theirs = vectors.slice(i * d, i * d + d);
        const same = ours.reduce((dot, v, j) => dot + v * theirs[j], 0);
        close(Math.abs(same), 1, 1e-9);
        const largest = ours.reduce((best, v) => (Math.abs(v) > Math.abs(best) ? v : best));
        assert.ok(largest > 0);
      }
    });

    test(`factors of a ${d}×${d} matrix`, () => {
      const l = cholesky(a, d)!;
      close(product(l, transposed(l, d), d), a, 1e-13);
      close(product(invertLower(l, d), l, d), identity(d), 1e-11);
      for (let i = 0; i < d; i++) for (let j = i + 1; j < d; j++) assert.equal(l[i * d + j], 0);
    });
  }

  for (const covariance of COVARIANCES)
    test(`distances of four vectors at a time, and whitened rows (${covariance})`, () => {
      for (const d of [1, 3, 8]) {
        const inverse = whitener(positiveDefinite(d, d, covariance), d, covariance);
        const [rows, at] = [Float64Array.from(normalRows(1, 4, d)), Float64Array.from(normalRows(2, 1, d))];
        const u = whitenedRows(rows, at, inverse);
        const interleaved = rows.map((_, p) => rows[(p % 4) * d + Math.floor(p / 4)]);
        const found = new Float64Array(4);
        const noCentre = whitenedRows(at, new Float64Array(d), inverse);
        fourSquaredDistances(packedLower(inverse, d), 0, covariance, noCentre, interleaved, found);
        for (let q = 0; q < 4; q++) {
          const row = rows.slice(q * d, q * d + d).map((value, j) => value - at[j]);
          close(found[q], squaredNorm(inverse, row), 1e-12);
          close(
            u.slice(q * d, q * d + d).reduce((sum, value) => sum + value ** 2, 0),
            squaredNorm(inverse, row),
            1e-12,
          );
        }
      }
    });

  test('factors and their inverses have the bits of plain loops, for any number of columns', () => {
    for (let d = 1; d <= 21; d++) {
      const a = positiveDefinite(d, d, 'full');
      const l = new Float64Array(d * d);
      for (let i = 0; i < d; i++)
        for (let j = 0; j <= i; j++) {
          let sum = a[i * d + j];
          for (let p = 0; p < j; p++) sum -= l[i * d + p] * l[j * d + p];
          l[i * d + j] = i === j ? Math.sqrt(sum) : sum / l[j * d + j];
        }
      assert.deepEqual(cholesky(a, d), l);
      const inverse = new Float64Array(d * d);
      for (let i = 0; i < d; i++) {
        for (let p = 0; p < i; p++)
          for (let j = 0; j <= p; j++) inverse[i * d + j] -= l[i * d + p] * inverse[p * d + j];
        for (let j = 0; j < i; j++) inverse[i * d + j] /= l[i * d + i];
        inverse[i * d + i] = 1 / l[i * d + i];
      }
      assert.deepEqual(invertLower(l, d), inverse);
      // Wherever the first pivot is that is not positive.
      for (let i = 0; i < d; i++) {
        const spoilt = a.slice();
        spoilt[i * (d + 1)] = -1;
        assert.equal(cholesky(spoilt, d), null);
      }
    }
  });

  test('a matrix that is not positive definite has no Cholesky factor', () => {
    for (const a of [
      [1, 2, 2, 1],
      [0, 0, 0, 1],
      [1, 0, 0, Number.NaN],
      [1, 0, 0, Infinity],
      [1, 1, 1, 1],
    ]) {
      assert.equal(cholesky(Float64Array.from(a), 2), null);
      assert.throws(() => logDet(Float64Array.from(a), 2), /positive definite/);
    }
  });

  test('rank of float32 data, for any units of the columns', () => {
    const d = 5;
    const covarianceOf = (column: (row: Float64Array, j: number) => number) => {
      const rows = Float64Array.from(normalRows(3, 400, d));
      const made = rows.map((_, p) => {
        const start = p - (p % d);
        return Math.fround(column(rows.subarray(start, start + d), p % d));
      });
      return scatter(statisticsOf(made, d, 'full'), d, 'full');
    };
    const cases: [(row: Float64Array, j: number) => number, number][] = [
      [(row, j) => row[j] * 10 ** (4 * j - 8), 5],
      [(row, j) => row[j] + 1000 * row[0], 5],
      [(row, j) => (j === 4 ? 0.7 * row[0] - 2.1 * row[1] : row[j]), 4],
      [(row, j) => (j > 2 ? row[0] * j : row[j]), 3],
      [(row, j) => (j === 1 ? 0 : row[j]), 4],
    ];
    for (const [column, expected] of cases) assert.equal(rank(covarianceOf(column), d), expected);
    assert.equal(rank(new Float64Array(d * d), d), 0);
    // On either side of the limit, and where the Cholesky factor alone does not tell.
    for (const [least, expected] of [
      [1e-6, 2],
      [1e-10, 2],
      [4e-12, 2],
      [1e-12, 1],
      [1e-14, 1],
    ])
      assert.equal(rank(Float64Array.of(1, 1 - least, 1 - least, 1), 2), expected, `${least}`);
  });
});
