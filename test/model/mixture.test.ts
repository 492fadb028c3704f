import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mStep } from '../../model/gaussian/mstep.ts';
import { niwPrior, pointEstimate } from '../../model/gaussian/niw.ts';
import { normalRows, statisticsOf } from './support.ts';

const prior = niwPrior({
  mean: new Float64Array(2),
  kappa: 1e-4,
  nu: 4,
  psi: Float64Array.of(1, 1),
  covariance: 'diag',
});
const T = [6, 18, 0].map((n) => statisticsOf(normalRows(n, n, 2), 2, 'diag'));

describe('mixture', () => {
  test('weights are proportions plus smoothing, means and covariances the MAP estimate', () => {
    const mixture = mStep(prior, T, 0);
    assert.deepEqual([...mixture.weights], [0.25, 0.75, 0]);
    assert.deepEqual([...mStep(prior, T, 0.5).weights], [0.3, 0.5, 0.2]);
    assert.deepEqual([mixture.k, mixture.d, mixture.covariance], [3, 2, 'diag']);
    assert.deepEqual(
      mixture.means.map((mean, k) => ({ mean, covariance: mixture.covariances[k] })),
      T.map((t) => pointEstimate(prior, t)),
    );
  });
});
