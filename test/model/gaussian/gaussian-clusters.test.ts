import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shareInGaussians, skewness } from '../../../model/gaussian/gaussian-clusters.ts';
import { LEAST_KAPPA, learnedScale, niwPrior, priorOfClusters } from '../../../model/gaussian/niw.ts';
import { covarianceOf, totalOfRows } from '../../../model/statistics.ts';
import { close, normals } from '../support.ts';

const rowsOf = (n: number, d: number, value: (row: number, column: number) => number) =>
  Float64Array.from({ length: n * d }, (_, p) => value(Math.floor(p / d), p % d));

describe('multivariate skewness', () => {
  test('in one column is the squared skewness', () => {
    const rows = Float64Array.of(0, 1, 1, 2, 9);
    const mean = 2.6;
    const moment = (power: number) => rows.reduce((sum, x) => sum + (x - mean) ** power, 0) / rows.length;
    close(skewness(rows, 1)!, moment(3) ** 2 / moment(2) ** 3, 1e-12);
  });

  test('does not depend on scale, rotation and place; of rows and their mirror images it is 0', () => {
    const next = normals(4);
    const rows = rowsOf(40, 2, () => next() ** 2);
    const turned = rowsOf(40, 2, (row, column) => {
      const [x, y] = rows.subarray(2 * row, 2 * row + 2);
      return column ? 5 + x - 3 * y : 2 * x + y;
    });
    close(skewness(turned, 2)!, skewness(rows, 2)!, 1e-9);
    const mirrored = rowsOf(80, 2, (row, column) => (row % 2 ? -1 : 1) * rows[2 * (row >> 1) + column]);
    close(skewness(mirrored, 2)!, 0, 1e-9);
  });

  test('is not defined where a column is constant', () => {
    assert.equal(
      skewness(
        rowsOf(9, 2, (row, column) => (column ? 1 : row)),
        2,
      ),
      null,
    );
  });
});

describe('the share of rows in Gaussian clusters', () => {
  const d = 20;
  const next = normals(7);
  const spreads = rowsOf(3, d, () => Math.exp(0.9 * next()));
  const share = (n: number, value: (row: number, column: number) => number) => {
    const rows = rowsOf(n, d, value);
    for (let a = 0; a < d; a++) {
      let mean = 0;
      for (let p = a; p < rows.length; p += d) mean += rows[p] / n;
      for (let p = a; p < rows.length; p += d) rows[p] -= mean;
    }
    const covariance = covarianceOf(totalOfRows(rows, d, 'full'), d, 'full', n);
    const nu = 2 * d + 1;
    const psi = learnedScale(1, nu, d, [1], [covariance], covariance);
    const [mean, kappa] = [new Float64Array(d), LEAST_KAPPA];
    const prior = niwPrior({ mean, kappa, nu, psi, covariance: 'full', estimate: 'mean' });
    const priorOf = (T: Float64Array[]) => (T.length ? priorOfClusters(prior, 1, T, covariance) : prior);
    return shareInGaussians(rows, priorOf, 10, 1n);
  };

  test('is all of clusters with one mean and unlike covariances', () => {
    assert.ok(share(2400, (row, column) => spreads[(row % 3) * d + column] * next()) > 0.95);
  });
  test('is little of one with skewed columns', () => {
    assert.ok(share(2000, () => next() ** 2) < 0.3);
  });
});
