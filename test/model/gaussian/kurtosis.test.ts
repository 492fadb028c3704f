import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lightness, predictedMoments, sumOfSquares } from '../../../model/gaussian/kurtosis.ts';
import { neighbourPairs } from '../../../model/gaussian/neighbour-pairs.ts';
import { simulateRows } from '../../../model/gaussian/simulated-rows.ts';
import { minus, squaredNorm } from '../../../model/linalg.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { generator } from '../../../model/random.ts';
import { randomNumbers } from '../../coordinator/fit/support.ts';
import { groupsOf } from './groups.ts';

const standard = (k: number, apart: number): Mixture => ({
  k,
  d: 2,
  covariance: 'full',
  weights: new Float64Array(k).fill(1 / k),
  means: Array.from({ length: k }, (_, c) => Float64Array.of(apart * c, 0)),
  covariances: Array.from({ length: k }, () => Float64Array.of(1, 0, 0, 1)),
});
const predictedOf = (mixture: Mixture) =>
  predictedMoments(
    mixture,
    simulateRows(mixture, neighbourPairs(mixture), [...Array(mixture.k).keys()], generator('1', 'simulated')),
  );

describe('the fourth moments that a mixture predicts', () => {
  test('are those of a Gaussian, with norms up to 2√D, where there is one component', () => {
    // ‖u‖² of two columns is exponential with mean 2: E min(s, 8)² = ∫₀⁸ s e^(−s/2) ds = 4(1 − 5e⁻⁴)·2.
    const [{ second, fourth }] = predictedOf(standard(1, 0));
    assert.ok(Math.abs(second - 2) < 0.02, String(second));
    assert.ok(Math.abs(fourth - 8 * (1 - 5 * Math.exp(-4))) < 0.1, String(fourth));
  });

  test('are smaller where neighbours have taken the rows between', () => {
    const [alone] = predictedOf(standard(1, 0));
    const [beside] = predictedOf(standard(2, 2.2));
    assert.ok(beside.fourth < 0.8 * alone.fourth);
  });

  test('are the same for a diagonal as for its matrix', () => {
    const full = standard(2, 3);
    const diag: Mixture = {
      ...full,
      covariance: 'diag',
      covariances: [Float64Array.of(1, 1), Float64Array.of(1, 1)],
    };
    assert.deepEqual(predictedOf(diag), predictedOf(full));
  });
});

describe('lightness of tails', () => {
  const predicted = { rows: 10_000, second: 2, fourth: 8, variance: 25 };

  test('is in standard errors of both, and not of scale', () => {
    const z = (2 * (99 / 101) - 1.5) / (5 * Math.sqrt(1 / 100 + 1 / 10_000));
    assert.ok(Math.abs(lightness({ rows: 100, second: 2, fourth: 6 }, predicted) - z) < 1e-9);
    assert.ok(Math.abs(lightness({ rows: 100, second: 4, fourth: 24 }, predicted) - z) < 1e-9);
    assert.ok(lightness({ rows: 100, second: 2, fourth: 10 }, predicted) < 0);
  });

  test('is not known of few rows', () =>
    assert.equal(lightness({ rows: 15, second: 2, fourth: 1 }, predicted), 0));

  test('has squares from statistics, of matrices and of diagonals', () => {
    const rows = [Float64Array.of(1, 2), Float64Array.of(-1, 4), Float64Array.of(3, 3)];
    const centre = Float64Array.of(0.5, 1);
    const [full, diag] = [Float64Array.of(2, 0, 1, 3), Float64Array.of(2, 3)];
    const sum = (inverse: Float64Array) =>
      rows.reduce((total, row) => total + squaredNorm(inverse, minus(row, centre)), 0);
    const T = Float64Array.of(3, 3, 9, 11, 7, 29);
    assert.ok(Math.abs(sumOfSquares(T, centre, full, 'full') - sum(full)) < 1e-9);
    assert.ok(
      Math.abs(sumOfSquares(Float64Array.of(3, 3, 9, 11, 29), centre, diag, 'diag') - sum(diag)) < 1e-9,
    );
  });

  test('makes one cluster of an even strip, and leaves a row of Gaussians', () => {
    const { normal, uniform } = randomNumbers(3);
    const labels = Array.from({ length: 1500 }, (_, i) => i % 5);
    const strip = labels.flatMap((label) => [label + uniform(), 0.8 * uniform()]);
    const row = labels.flatMap((label) => [3.2 * label + normal(), normal()]);
    assert.deepEqual(groupsOf({ d: 2, rows: Float64Array.from(strip), labels }), [0, 0, 0, 0, 0]);
    assert.deepEqual(groupsOf({ d: 2, rows: Float64Array.from(row), labels }), [0, 1, 2, 3, 4]);
  });

  test('joins no two Gaussians with one centre, also of few rows in many columns', () => {
    for (const [d, n] of [
      [2, 1000],
      [20, 160],
    ]) {
      const { normal } = randomNumbers(d);
      const labels = Array.from({ length: n }, (_, i) => i % 2);
      const rows = Float64Array.from(
        { length: n * d },
        (_, p) => normal() * (labels[Math.floor(p / d)] ? 4 : 1),
      );
      assert.deepEqual(groupsOf({ d, rows, labels }), [0, 1]);
    }
  });
});
