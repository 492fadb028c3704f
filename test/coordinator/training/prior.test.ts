import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { priorOf as priorOfRun } from '../../../coordinator/training/preparation/prepare.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { learnedPrior, learnedScale } from '../../../model/niw.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { assertClose } from '../support.ts';

const COVARIANCE = Float64Array.of(4, 1, 1, 9);
const DIAGONAL = Float64Array.of(4, 9);

const priorOf = (of: ReturnType<typeof config>, d: number, covariance: Float64Array) =>
  priorOfRun(of, d, covariance);

const config = (change: Partial<Parameters<typeof priorOfRun>[0]> = {}) => ({
  ...{ data: 'x.npy', covariance: 'full' as Covariance, priorScaleChoice: 'learned' as const },
  priorScale: 1,
  ...change,
});

describe('the prior of a run', () => {
  test('that is learned begins with all rows as one cluster, and yields the posterior mean', async () => {
    for (const covariance of ['full', 'diag'] as const) {
      const prior = priorOf(config({ covariance }), 2, COVARIANCE);
      const own = covariance === 'full' ? COVARIANCE : DIAGONAL;
      assert.deepEqual(prior.psi, learnedScale(1, 5, 2, [1], [own], own));
      assert.deepEqual([prior.estimate, prior.kappa, prior.covariance], ['mean', 1e-4, covariance]);
    }
  });

  test('has 2·D + 1 degrees of freedom if it is learned, else D + 2', async () => {
    for (const [d, nu] of [
      [1, 3],
      [2, 5],
      [3, 7],
      [10, 21],
    ]) {
      const unit = Float64Array.from({ length: d * d }, (_, p) => Number(p % (d + 1) === 0));
      assert.equal(priorOf(config(), d, unit).nu, nu);
      const fixed = priorOf(config({ priorScaleChoice: 'data-cov' }), d, unit);
      assert.deepEqual([fixed.nu, fixed.estimate], [d + 2, 'mode']);
    }
  });
});

test('a learned prior takes Ψ from the clusters, and nothing else', async () => {
  for (const covariance of ['full', 'diag'] as const) {
    const prior = priorOf(config({ covariance, priorScale: 0.5 }), 2, COVARIANCE);
    const clusters =
      covariance === 'full'
        ? [Float64Array.of(1, 0.5, 0.5, 2), Float64Array.of(3, 0, 0, 1)]
        : [Float64Array.of(1, 2), Float64Array.of(3, 1)];
    const mixture: Mixture = {
      ...{ k: 2, d: 2, covariance, weights: Float64Array.of(0.25, 0.75) },
      ...{ means: [new Float64Array(2), new Float64Array(2)], covariances: clusters },
    };
    const learned = learnedPrior(prior, 0.5, mixture, COVARIANCE);
    const own = covariance === 'full' ? COVARIANCE : DIAGONAL;
    assert.deepEqual(learned.psi, learnedScale(0.5, 5, 2, mixture.weights, clusters, own));
    const determinant = covariance === 'full' ? learned.psi[0] * learned.psi[3] - learned.psi[1] ** 2 : null;
    assertClose([learned.logDetPsi], [Math.log(determinant ?? learned.psi[0] * learned.psi[1])], 1e-12);
    assert.deepEqual({ ...learned, psi: null, logDetPsi: null }, { ...prior, psi: null, logDetPsi: null });
  }
});
