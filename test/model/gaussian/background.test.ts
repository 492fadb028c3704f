import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withBackground } from '../../../model/gaussian/background.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { generator, type Rng } from '../../../model/random.ts';
import { addRow, covarianceOf, mean, statisticsLength } from '../../../model/statistics.ts';

const D = 2;
const CENTRES = [
  [0, 0],
  [12, 0],
  [0, 12],
  [12, 12],
];
const SIDE = 24;

/** Rows of four blobs by `draw`, then so many that are spread evenly over a square about them. */
function rowsOf(rng: Rng, draw: () => number[], each: number, noise: number) {
  const rows = CENTRES.flatMap((centre) =>
    Array.from({ length: each }, () => draw().map((value, i) => centre[i] + value)),
  );
  for (let i = 0; i < noise; i++) rows.push([6, 6].map((middle) => middle + SIDE * (rng.uniform() - 0.5)));
  return rows;
}

const estimate = (T: Float64Array) => ({ mean: mean(T, D), covariance: covarianceOf(T, D, 'full', T[0]) });

/** The mixture of rows with these labels. */
function mixtureOf(rows: readonly number[][], labels: readonly number[]): Mixture {
  const k = Math.max(...labels) + 1;
  const T = Array.from({ length: k }, () => new Float64Array(statisticsLength(D, 'full')));
  for (const [i, row] of rows.entries()) addRow(T[labels[i]], Float64Array.from(row), 0, D, 'full');
  const fits = T.map(estimate);
  return {
    ...{ k, d: D, covariance: 'full' },
    weights: Float64Array.from(T, ([n]) => n / rows.length),
    means: fits.map((fit) => fit.mean),
    covariances: fits.map((fit) => fit.covariance),
  };
}

/** As a run finds it: noise is in parts of the plane, rows of a blob that are far from its centre in a wide component of its own. */
const labelled = (rows: readonly number[][]) =>
  rows.map(([x, y]) => {
    const distances = CENTRES.map(([a, b]) => Math.hypot(x - a, y - b));
    const nearest = distances.indexOf(Math.min(...distances));
    return distances[nearest] < 3 ? nearest : 4 + nearest;
  });

describe('withBackground', () => {
  test('even noise gives the components that held it a background, and the blobs keep their covariances', () => {
    const rng = generator(1n, 'background');
    const blobs = () => [rng.normal(), rng.normal()];
    for (const noise of [200, 1600]) {
      const rows = rowsOf(rng, blobs, 400, noise);
      const found = withBackground(
        Float64Array.from(rows.flat()),
        mixtureOf(rows, labelled(rows)),
        estimate,
        rng,
      );
      assert.deepEqual(found?.kept.toSorted(), [0, 1, 2, 3]);
      assert.ok(
        Math.abs(found!.background.weight - noise / rows.length) < 0.02,
        `${found!.background.weight}`,
      );
      assert.ok(Math.abs(found!.background.logDensity + 2 * Math.log(SIDE)) < 0.15);
      for (const covariance of found!.mixture.covariances)
        assert.ok(covariance[0] > 0.8 && covariance[0] < 1.25, `${covariance}`);
      const total = found!.mixture.weights.reduce((a, b) => a + b, found!.background.weight);
      assert.ok(Math.abs(total - 1) < 1e-9);
    }
  });

  test('tails of clusters are no noise, nor is one wide cluster beside others', () => {
    const rng = generator(2n, 'background');
    const heavy = () => {
      const scale = Math.sqrt(3 / (rng.normal() ** 2 + rng.normal() ** 2 + rng.normal() ** 2));
      return [scale * rng.normal(), scale * rng.normal()];
    };
    const tails = rowsOf(rng, heavy, 600, 0);
    assert.equal(
      withBackground(Float64Array.from(tails.flat()), mixtureOf(tails, labelled(tails)), estimate, rng),
      null,
    );
    const rows = rowsOf(rng, () => [rng.normal(), rng.normal()], 300, 0);
    const wide = Array.from({ length: 300 }, () => [100 + 20 * rng.normal(), 20 * rng.normal()]);
    const labels = rows.map((_, i) => Math.floor(i / 300));
    const mixture = mixtureOf([...rows, ...wide], [...labels, ...wide.map(() => 4)]);
    assert.equal(withBackground(Float64Array.from([...rows, ...wide].flat()), mixture, estimate, rng), null);
  });
});
