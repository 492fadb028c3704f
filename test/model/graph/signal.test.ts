import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { symmetricEigen } from '../../../model/linalg.ts';
import { signalAxes } from '../../../model/principal-axes.ts';
import { generator } from '../../../model/random.ts';

/** Eigenvalues that are asked for: more than the 16 that a run would use. */
const ASKED = 17;

/** The number of signal axes of rows that are drawn one by one. */
function axesOf(rows: Float64Array[], asked = ASKED): number {
  const d = rows[0].length;
  const n = rows.length;
  const mean = new Float64Array(d);
  for (const row of rows) for (let j = 0; j < d; j++) mean[j] += row[j] / n;
  const centred = rows.map((row) => row.map((value, j) => value - mean[j]));
  // Of few rows, their products have the same eigenvalues as those of the columns, but for zeros.
  const vectors =
    n < d ? centred : Array.from({ length: d }, (_, j) => Float64Array.from(centred, (row) => row[j]));
  const m = vectors.length;
  const products = new Float64Array(m * m);
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= i; j++)
      products[i * m + j] = products[j * m + i] =
        vectors[i].reduce((sum, v, p) => sum + v * vectors[j][p], 0) / n;
  const { values } = symmetricEigen(products, m);
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

  for (const [n, d, seeds] of [
    [5, 40, 200],
    [20, 40, 200],
    [20, 500, 100],
    [40, 100, 100],
    [100, 300, 20],
    [200, 40, 20],
  ])
    test(`of a few rows of noise are none in 95 % of cases: ${n} rows, ${d} columns`, () => {
      let wrong = 0;
      for (let seed = 0; seed < seeds; seed++) if (axesOf(noise(1000 + seed, n, d)) > 0) wrong++;
      assert.ok(wrong <= 0.05 * seeds, `${wrong} of ${seeds}`);
    });

  test('in a few rows are clusters that stand out, no more', () => {
    for (const [n, d] of [
      [20, 40],
      [20, 500],
      [40, 100],
      [60, 300],
    ])
      for (const q of [1, 2, 3]) {
        let right = 0;
        for (let seed = 0; seed < 20; seed++) {
          const rows = noise(2000 + seed, n, d);
          // 2·√D from the middle, in which rows are √D from their centre.
          const centres = noise(3000 + seed, q + 1, d, () => 2);
          rows.forEach((row, i) => {
            for (let j = 0; j < d; j++) row[j] += centres[i % (q + 1)][j];
          });
          if (axesOf(rows) === q) right++;
        }
        assert.ok(right >= 19, `${q} in ${d} columns, ${n} rows: ${right} of 20`);
      }
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
});
