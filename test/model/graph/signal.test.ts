import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { signalAxes } from '../../../model/graph/signal.ts';
import { symmetricEigen } from '../../../model/linalg.ts';
import { generator } from '../../../model/random.ts';

/** Eigenvalues that are asked for: more than the 16 that a run would use. */
const ASKED = 17;

/** The number of signal axes of rows that are drawn one by one. */
function axesOf(rows: Float64Array[], asked = ASKED): number {
  const d = rows[0].length;
  const n = rows.length;
  const mean = new Float64Array(d);
  for (const row of rows) for (let j = 0; j < d; j++) mean[j] += row[j] / n;
  const covariance = new Float64Array(d * d);
  for (const row of rows)
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++) covariance[i * d + j] += ((row[i] - mean[i]) * (row[j] - mean[j])) / n;
  const { values } = symmetricEigen(covariance, d);
  const trace = values.reduce((a, b) => a + b, 0);
  return signalAxes(values.slice(0, asked), trace, d, n);
}

/** n rows of D independent normal numbers, with the standard deviation `sd(j)` of column j. */
function noise(seed: number, n: number, d: number, sd: (j: number) => number = () => 1): Float64Array[] {
  const { normal } = generator(BigInt(seed), 'signal-test');
  return Array.from({ length: n }, () => Float64Array.from({ length: d }, (_, j) => sd(j) * normal()));
}

describe('signal axes', () => {
  for (const [n, d] of [
    [4000, 40],
    [1000, 40],
    [300, 40],
    [100, 40],
    [200, 100],
    [60, 60],
  ])
    test(`of noise are none: D/n = ${d}/${n}`, () => {
      for (const seed of [1, 2, 3]) assert.equal(axesOf(noise(seed, n, d)), 0);
      assert.equal(axesOf(noise(4, n, d, () => 1e-6)), 0, 'whatever the unit');
    });

  test('are spikes above the edge of noise, all of them', () => {
    for (const [n, d] of [
      [2000, 40],
      [300, 100],
    ])
      for (const q of [1, 3, 9, 16]) {
        const rows = noise(q, n, d, (j) => (j < q ? 3 + j / 4 : 1));
        assert.equal(axesOf(rows), q, `${q} in ${d} columns, ${n} rows`);
      }
  });

  test('do not include spikes that the edge hides', () => {
    // The edge is (1 + √(D/n))² = 2.1 times the variance.
    assert.equal(axesOf(noise(1, 200, 40, (j) => (j === 0 ? 1.1 : 1))), 0);
  });

  test('are in any direction: clusters in three dimensions of 60', () => {
    const rows = noise(7, 3000, 60);
    const centres = noise(8, 4, 60, () => 1.5);
    rows.forEach((row, i) => {
      for (let j = 0; j < 60; j++) row[j] += centres[i % 4][j];
    });
    assert.equal(axesOf(rows), 3);
  });

  test('of a decaying spectrum are more than are asked for', () => {
    assert.equal(axesOf(noise(1, 2000, 80, (j) => (j + 1) ** -0.5)), ASKED);
    assert.equal(
      axesOf(
        noise(1, 2000, 80, (j) => (j + 1) ** -0.5),
        5,
      ),
      5,
    );
  });

  test('of rows that span fewer dimensions than columns are those dimensions', () => {
    for (const q of [1, 4, 11]) {
      const axes = noise(20 + q, q, 50);
      const rows = noise(30 + q, 500, q).map((at) => {
        const row = new Float64Array(50);
        for (let a = 0; a < q; a++) for (let j = 0; j < 50; j++) row[j] += at[a] * axes[a][j];
        return row;
      });
      // 2 % of the variance do not count, and the last axes may have less.
      const found = axesOf(rows);
      assert.ok(found <= q && found >= q - 2, `${found} of ${q}`);
    }
    assert.equal(axesOf(noise(1, 100, 30, (j) => (j < 2 ? 1 : 0))), 2);
  });

  test('end where the others have less than 2 % of the variance, whatever their shape', () => {
    // Six axes of variance 1; the others, all but noise, have this share of all variance.
    const of = (share: number) => {
      const rest = (6 * share) / (1 - share);
      const values = [...Array(6).fill(1), rest / 2, rest / 4, rest / 8, rest / 16];
      return signalAxes(values, 6 + rest, 60, 1e5);
    };
    assert.equal(of(0.019), 6);
    assert.ok(of(0.021) > 6);
  });

  test('of constant rows are none', () => {
    assert.equal(signalAxes([0, 0, 0], 0, 40, 100), 0);
    assert.equal(signalAxes([], 0, 0, 100), 0);
  });
});
