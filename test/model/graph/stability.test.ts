import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  chosenResolution,
  isPastLast,
  replicateRows,
  stability,
  unslicedResolution,
} from '../../../model/graph/stability.ts';
import { generator } from '../../../model/random.ts';
import { ari, ariOfLabels, contingency } from '../../../model/scores.ts';
import { close } from '../support.ts';

const N = 400;
/** Random labels 0 … k−1 of the replicate's rows, which agree with those of others where `noise` is small; −1 elsewhere. */
function labelsOf(replicate: number, k: number, noise: number): Int32Array {
  const rng = generator(5n, 'labels', replicate);
  const labels = new Int32Array(N).fill(-1);
  for (const row of replicateRows(1n, replicate, N))
    labels[row] = rng.uniform() < noise ? rng.below(k) : row % k;
  return labels;
}

/** The ARI of each pair by its contingency table. */
function agreements(labels: Int32Array[]): number[] {
  return labels.flatMap((a, i) =>
    labels.slice(0, i).map((b) => {
      const shared = [...a.keys()].filter((row) => a[row] >= 0 && b[row] >= 0);
      return ari(
        contingency(
          shared.map((row) => a[row]),
          shared.map((row) => b[row]),
        ),
      );
    }),
  );
}

const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;

describe('replicates', () => {
  test('have 60 % of the rows, ascending, each once; others for each replicate and seed', () => {
    for (const n of [0, 1, 2, 5, 10, 1001]) {
      const rows = replicateRows(7n, 1, n);
      assert.equal(rows.length, Math.floor(0.6 * n));
      for (const [i, row] of rows.entries()) assert.ok(row < n && (i === 0 ? row >= 0 : row > rows[i - 1]));
    }
    assert.equal(replicateRows(7n, 1, 100, 0.25).length, 25);
    const [a, b, c] = [replicateRows(7n, 1, 1000), replicateRows(7n, 2, 1000), replicateRows(8n, 1, 1000)];
    assert.equal(new Set([a, b, c].map(String)).size, 3);
    assert.deepEqual(replicateRows(7n, 2, 1000), b);
    const shared = a.filter((row) => b.includes(row)).length;
    assert.ok(Math.abs(shared - 360) < 40, `${shared}`);
  });

  test('agree with the mean ARI of all pairs on the rows that they share', () => {
    for (const noise of [0, 0.3, 1]) {
      const labels = [1, 2, 3, 4, 5].map((replicate) => labelsOf(replicate, replicate < 3 ? 4 : 6, noise));
      const expected = agreements(labels);
      const { mean: value, error, k, range } = stability(labels, N);
      close(value, mean(expected), 1e-12);
      close(error, Math.sqrt(mean(expected.map((v) => (v - mean(expected)) ** 2)) / 5), 1e-12);
      assert.equal(k, 6);
      assert.deepEqual(range, [4, 6]);
    }
  });
});

test('the ARI by counting is that of the contingency table', () => {
  const rng = generator(2n, 'labels');
  for (const [a, b] of [
    [1, 1],
    [1, 9],
    [50, 50],
    [700, 3],
    [1000, 900],
  ]) {
    const draw = (k: number) => Int32Array.from({ length: 1500 }, () => rng.below(k));
    const pred = draw(a);
    const truth = draw(b).map((label, i) => (i % 3 ? Math.min(b - 1, pred[i]) : label));
    assert.equal(ariOfLabels(pred, truth), ari(contingency(pred, truth)));
  }
});

describe('resolutions', () => {
  const curveOf = (...means: number[]) => means.map((value) => ({ mean: value, error: 0 }));

  test('the search ends after four that are below 75 % of the best', () => {
    assert.equal(isPastLast([]), false);
    assert.equal(isPastLast(curveOf(0.8, 0.5, 0.5, 0.5)), false);
    assert.equal(isPastLast(curveOf(0.8, 0.5, 0.5, 0.5, 0.59)), true);
    assert.equal(isPastLast(curveOf(0.8, 0.5, 0.5, 0.5, 0.61)), false);
    assert.equal(isPastLast(curveOf(0.8, 0.61, 0.5, 0.5, 0.5)), false);
    assert.equal(isPastLast(curveOf(0.2, 0.3, 0.4, 0.5, 0.6)), false);
  });

  /** Curves of [mean, mean beyond chance, its error]. */
  const points = (...all: [number, number, number][]) =>
    all.map(([mean, beyond, error]) => ({ mean, beyond: { mean: beyond, error } }));

  test('the chosen one has the largest mean − error beyond chance, the first on a tie', () => {
    assert.equal(chosenResolution(points([0.5, 0.5, 0], [0.8, 0.7, 0], [0.9, 0.6, 0], [0.8, 0.7, 0])), 1);
    assert.equal(chosenResolution(points([0.8, 0.8, 0.1], [0.75, 0.75, 0.01], [0.6, 0.6, 0])), 1);
  });

  test('there is none if too little of its mean is beyond chance', () => {
    assert.equal(chosenResolution([]), null);
    assert.equal(chosenResolution(points([0.1, 0.1, 0], [0.449, 0.299, 0])), null);
    assert.equal(chosenResolution(points([0.45, 0.301, 0])), 0);
  });

  /** Curves of [clusters, mean beyond chance, its error]. */
  const sliced = (...all: [number, number, number][]) =>
    all.map(([k, mean, error]) => ({ k, beyond: { mean, error } }));
  const finer = sliced([19, 0.4, 0.03], [22, 0.39, 0.02]);

  test('a lower one has to be twice as stable as partitions into twice as many', () => {
    assert.equal(
      unslicedResolution(finer, sliced([6, 0.3, 0.1], [3, 0.5, 0.1], [2, 0.9, 0.1], [1, -0.8, 0])),
      2,
    );
    assert.equal(unslicedResolution(finer, sliced([6, 0.3, 0.1], [2, 0.9, 0.11])), null);
    assert.equal(unslicedResolution(finer, sliced([6, 0.46, 0.1], [2, 0.9, 0])), null);
    assert.equal(unslicedResolution(finer, sliced([3, 0.8, 0.1], [2, 0.9, 0])), 1);
    assert.equal(unslicedResolution([], sliced([2, 0.59, 0])), null);
    assert.equal(unslicedResolution([], sliced([2, 0.6, 0])), 0);
    assert.equal(unslicedResolution(finer, []), null);
  });
});
