import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cholesky, invertLower, logDet, rank, symmetricEigen } from '../../model/linalg.ts';
import { scatter } from '../../model/statistics.ts';
import { close, normalRows, scipyValues, statisticsOf } from './support.ts';

function multiply(a: Float64Array, b: Float64Array, d: number): Float64Array {
  return a.map((_, p) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += a[Math.floor(p / d) * d + j] * b[j * d + (p % d)];
    return sum;
  });
}

function transpose(a: Float64Array, d: number): Float64Array {
  return a.map((_, p) => a[(p % d) * d + Math.floor(p / d)]);
}

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
      close(multiply(l, transpose(l, d), d), a, 1e-13);
      close(multiply(invertLower(l, d), l, d), identity(d), 1e-11);
      for (let i = 0; i < d; i++) for (let j = i + 1; j < d; j++) assert.equal(l[i * d + j], 0);
    });
  }

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
    assert.equal(
      rank(
        covarianceOf((row, j) => row[j]),
        d,
      ),
      5,
    );
    assert.equal(
      rank(
        covarianceOf((row, j) => row[j] * 10 ** (4 * j - 8)),
        d,
      ),
      5,
    );
    assert.equal(
      rank(
        covarianceOf((row, j) => row[j] + 1000 * row[0]),
        d,
      ),
      5,
    );
    assert.equal(
      rank(
        covarianceOf((row, j) => (j === 4 ? 0.7 * row[0] - 2.1 * row[1] : row[j])),
        d,
      ),
      4,
    );
    assert.equal(
      rank(
        covarianceOf((row, j) => (j > 2 ? row[0] * j : row[j])),
        d,
      ),
      3,
    );
    assert.equal(
      rank(
        covarianceOf((row, j) => (j === 1 ? 0 : row[j])),
        d,
      ),
      4,
    );
    assert.equal(rank(new Float64Array(d * d), d), 0);
  });
});
