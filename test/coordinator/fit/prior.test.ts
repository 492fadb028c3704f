import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { priorOf as priorOfRun } from '../../../coordinator/fit/preparation/prepare.ts';
import { learnedPrior, learnedScale } from '../../../model/gaussian/niw.ts';
import type { Mixture } from '../../../model/mixture.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { assertClose } from './support.ts';

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

test('a learned prior takes Ψ and κ from the clusters, and nothing else', async () => {
  for (const covariance of ['full', 'diag'] as const) {
    const prior = priorOf(config({ covariance, priorScale: 0.5 }), 2, COVARIANCE);
    const clusters =
      covariance === 'full'
        ? [Float64Array.of(1, 0.5, 0.5, 2), Float64Array.of(3, 0, 0, 1)]
        : [Float64Array.of(1, 2), Float64Array.of(3, 1)];
    const mixture: Mixture = {
      ...{ k: 2, d: 2, covariance, weights: Float64Array.of(0.25, 0.75) },
      ...{ means: [Float64Array.of(-6, 0), Float64Array.of(2, 0)], covariances: clusters },
    };
    const learned = learnedPrior(prior, 0.5, mixture, COVARIANCE);
    const own = covariance === 'full' ? COVARIANCE : DIAGONAL;
    assert.deepEqual(learned.psi, learnedScale(0.5, 5, 2, mixture.weights, clusters, own));
    const determinant = covariance === 'full' ? learned.psi[0] * learned.psi[3] - learned.psi[1] ** 2 : null;
    assertClose([learned.logDetPsi], [Math.log(determinant ?? learned.psi[0] * learned.psi[1])], 1e-12);
    const rest = { psi: null, logDetPsi: null, kappa: null };
    assert.deepEqual({ ...learned, ...rest }, { ...prior, ...rest });
    // W = Ψ/(c·(ν − D − 1)), about diag(2.5, 1.25) with a little of the data's covariance; κ = (K − 1)·D over the squared distances of the means.
    const [w00, w01, w11] = (covariance === 'full' ? [0, 1, 3] : [0, 0, 1]).map((p) => learned.psi[p]);
    const inverse = covariance === 'full' ? w11 / (w00 * w11 - w01 * w01) : 1 / w00;
    const kappa = 2 / ((36 + 4) * inverse);
    assertClose([learned.kappa], [kappa ** (2 / 7) * 1e-4 ** (5 / 7)], 1e-12);
  }
});

test('κ is the least for one cluster, at most a row, and less the fewer clusters tell of it', () => {
  const prior = priorOf(config({ priorScale: 1 }), 2, COVARIANCE);
  const of = (...at: number[]) => {
    const means = at.map((x) => Float64Array.of(x, 0));
    const covariances = at.map(() => Float64Array.of(1, 0, 0, 1));
    return learnedPrior(prior, 1, { weights: at.map(() => 1 / at.length), means, covariances }, COVARIANCE)
      .kappa;
  };
  assert.equal(of(5), 1e-4);
  assertClose([of(0.1, -0.1)], [1e-4 ** (5 / 7)], 1e-12);
  const many = Array.from({ length: 50 }, (_, k) => (k % 2 ? 20 : -20));
  assert.ok(of(20, -20) < of(...many) && of(...many) < 1);
  const means = many.map((x) => Float64Array.of(x, 0));
  const clusters = {
    weights: many.map(() => 0.02),
    means,
    covariances: many.map(() => Float64Array.of(1, 0, 0, 1)),
  };
  assert.equal(learnedPrior({ ...prior, leastKappa: true }, 1, clusters, COVARIANCE).kappa, 1e-4);
});
