import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lightness, predictedFourthMoments } from '../../../model/gaussian/kurtosis.ts';
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
const drawn = () => generator('1', 'kurtosis');

describe('the fourth moments that a mixture predicts', () => {
  test('are those of a Gaussian, with norms up to 2√D, where there is one component', () => {
    // ‖u‖² of two columns is exponential with mean 2: E min(s, 8)² = ∫₀⁸ s e^(−s/2) ds = 4(1 − 5e⁻⁴)·2.
    const [{ mean }] = predictedFourthMoments(standard(1, 0), drawn());
    assert.ok(Math.abs(mean - 8 * (1 - 5 * Math.exp(-4))) < 0.1, String(mean));
  });

  test('are smaller where neighbours have taken the rows between', () => {
    const [alone] = predictedFourthMoments(standard(1, 0), drawn());
    const [beside] = predictedFourthMoments(standard(2, 2.2), drawn());
    assert.ok(beside.mean < 0.8 * alone.mean);
  });

  test('are the same for a diagonal as for its matrix', () => {
    const full = standard(2, 3);
    const diag: Mixture = {
      ...full,
      covariance: 'diag',
      covariances: [Float64Array.of(1, 1), Float64Array.of(1, 1)],
    };
    assert.deepEqual(predictedFourthMoments(diag, drawn()), predictedFourthMoments(full, drawn()));
  });
});

describe('lightness of tails', () => {
  const predicted = { mean: 8, variance: 100, rows: 10_000 };

  test('is in standard errors of both means', () => {
    assert.ok(Math.abs(lightness(100, 600, predicted) - (8 * (99 / 101) - 6) / Math.sqrt(1.01)) < 1e-9);
    assert.ok(lightness(100, 1000, predicted) < 0);
  });

  test('is not known of few rows', () => assert.equal(lightness(15, 0, predicted), 0));

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
