import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { canonicalSign, cholesky, congruent, invertLower, symmetricEigen } from '../../model/linalg.ts';
import { leadingEigen, roughLeadingEigen } from '../../model/principal-axes.ts';
import { generator } from '../../model/random.ts';

const D = 450;

/** A matrix with these eigenvalues: the diagonal one, reflected at a random plane. */
function matrixOf(eigenvalues: number[]): Float64Array {
  const d = eigenvalues.length;
  const { normal } = generator(3n, 'test');
  const u = Float64Array.from({ length: d }, normal);
  const length = Math.sqrt(u.reduce((sum, value) => sum + value * value, 0));
  const a = new Float64Array(d * d);
  // With a unit vector u and H = I − 2uuᵀ: HΛH = Λ − 2(uuᵀΛ + Λuuᵀ) + 4(uᵀΛu)uuᵀ.
  const middle = eigenvalues.reduce((sum, value, i) => sum + value * (u[i] / length) ** 2, 0);
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++) {
      const plane = (u[i] * u[j]) / length ** 2;
      const entry = (4 * middle - 2 * (eigenvalues[i] + eigenvalues[j])) * plane;
      a[i * d + j] = a[j * d + i] = (i === j ? eigenvalues[i] : 0) + entry;
    }
  return a;
}

const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0);

/** The eigenvalues expected, orthonormal vectors of the right sign, and A·v = λ·v. */
function assertEigenpairs(eigenvalues: number[], count: number): void {
  const a = matrixOf(eigenvalues);
  const d = eigenvalues.length;
  const { values, vectors } = leadingEigen(a, d, count);
  assert.deepEqual([values.length, vectors.length], [count, count * d]);
  const expected = [...eigenvalues].sort((x, y) => y - x);
  const rows = Array.from(values, (_, i) => vectors.subarray(i * d, (i + 1) * d));
  for (const [i, row] of rows.entries()) {
    assert.ok(Math.abs(values[i] - expected[i]) < 1e-12 * expected[0], `value ${i}: ${values[i]}`);
    assert.equal(canonicalSign(row), 1);
    for (let j = 0; j <= i; j++)
      assert.ok(Math.abs(dot(row, rows[j]) - Number(i === j)) < 1e-12, `${i}·${j}`);
    const residual = Array.from(
      row,
      (value, p) => dot(a.subarray(p * d, (p + 1) * d), row) - values[i] * value,
    );
    assert.ok(Math.sqrt(dot(residual, residual)) < 2e-12 * expected[0], `residual ${i}`);
  }
}

describe('leadingEigen', () => {
  const decaying = (power: number) => Array.from({ length: D }, (_, i) => (1 + i) ** -power);
  test('finds the largest eigenpairs of a quickly and of a slowly decaying spectrum', () => {
    assertEigenpairs(decaying(2), 10);
    assertEigenpairs(decaying(0.5), 10);
  });
  test('finds a repeated eigenvalue as often as it occurs', () =>
    assertEigenpairs(
      Array.from({ length: D }, (_, i) => (i % 50 === 0 ? 3 : i % 50 === 1 ? 2 : 1)),
      12,
    ));
  test('with a large tolerance, finds vectors that are uncorrelated and span nearly as much', () => {
    const a = matrixOf(decaying(0.5));
    const { values, vectors } = leadingEigen(a, D, 40, 2 ** -6);
    const rows = Array.from(values, (_, i) => vectors.subarray(i * D, (i + 1) * D));
    const images = rows.map((row) =>
      Float64Array.from(row, (_, p) => dot(a.subarray(p * D, (p + 1) * D), row)),
    );
    for (const [i, row] of rows.entries())
      for (let j = 0; j <= i; j++) {
        assert.ok(Math.abs(dot(row, rows[j]) - Number(i === j)) < 1e-12, `${i}·${j}`);
        assert.ok(Math.abs(dot(row, images[j]) - (i === j ? values[i] : 0)) < 1e-12, `${i}·A·${j}`);
      }
    const ratio =
      dot(
        values,
        values.map(() => 1),
      ) / dot(decaying(0.5).slice(0, 40), Array(40).fill(1));
    assert.ok(ratio > 0.995 && ratio < 1 - 1e-9, String(ratio));
  });
  test('is the full decomposition for a small matrix, and where most eigenpairs are wanted', () => {
    const a = matrixOf([5, 1, 4, 2, 3]);
    const full = symmetricEigen(a, 5);
    assert.deepEqual(leadingEigen(a, 5, 2), {
      values: full.values.slice(0, 2),
      vectors: full.vectors.slice(0, 10),
    });
  });
});

describe('roughLeadingEigen', () => {
  const d = 70;
  const tolerance = 2 ** -8;
  /** The rows of `vectors` and what they explain of a matrix: vᵀAv. */
  const explained = (a: Float64Array, vectors: Float64Array) =>
    Array.from({ length: vectors.length / d }, (_, i) => {
      const row = vectors.subarray(i * d, (i + 1) * d);
      return dot(
        row,
        row.map((_, p) => dot(a.subarray(p * d, (p + 1) * d), row)),
      );
    });

  test('finds axes along which the variance is nearly the largest', () => {
    const spectra = {
      decaying: Array.from({ length: d }, (_, i) => (1 + i) ** -0.5),
      'one that stands out': Array.from({ length: d }, (_, i) => (i ? 1 + i / d : 4)),
      'of both signs': Array.from({ length: d }, (_, i) => 1 - i / 30),
    };
    for (const [name, eigenvalues] of Object.entries(spectra)) {
      const a = matrixOf(eigenvalues);
      const { values, vectors } = roughLeadingEigen(a, d, 3, tolerance);
      const expected = [...eigenvalues].sort((x, y) => y - x);
      for (const [i, value] of explained(a, vectors).entries()) {
        assert.ok(Math.abs(value - values[i]) < 1e-12, name);
        assert.ok(Math.abs(value / expected[i] - 1) < 2e-3, `${name} ${i}: ${value}, not ${expected[i]}`);
      }
    }
  });

  test('of L·A·Lᵀ: the same as of that matrix', () => {
    const a = matrixOf(Array.from({ length: d }, (_, i) => 1 + i));
    const l = invertLower(cholesky(matrixOf(Array.from({ length: d }, (_, i) => 1 + (i % 7))), d)!, d);
    const image = congruent(l, a, d);
    const { values, vectors } = roughLeadingEigen(a, d, 2, tolerance, l);
    const direct = roughLeadingEigen(image, d, 2, tolerance);
    for (const [i, value] of values.entries()) assert.ok(Math.abs(value / direct.values[i] - 1) < 1e-9);
    const full = symmetricEigen(image, d);
    for (const [i, value] of explained(image, vectors).entries())
      assert.ok(Math.abs(value / full.values[i] - 1) < 2e-3);
  });

  test('is the full decomposition up to 32 columns', () => {
    for (const size of [5, 32]) {
      const a = matrixOf(Array.from({ length: size }, (_, i) => 1 + ((i * 7) % size)));
      const l = cholesky(matrixOf(Array.from({ length: size }, (_, i) => 2 + i)), size)!;
      for (const by of [null, l]) {
        const full = symmetricEigen(by ? congruent(by, a, size) : a, size);
        assert.deepEqual(roughLeadingEigen(a, size, 1, tolerance, by), {
          values: full.values.slice(0, 1),
          vectors: full.vectors.slice(0, size),
        });
      }
    }
  });
});
