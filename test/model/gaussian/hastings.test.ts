import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  accepts,
  coarsening,
  logEvidence,
  logMergeRatio,
  logSplitRatio,
  proposable,
  searchCost,
} from '../../../model/gaussian/hastings.ts';
import { type Niw, niwPrior, priorScale } from '../../../model/gaussian/niw.ts';
import { addStatistics, type Covariance, mean, scatter } from '../../../model/statistics.ts';
import {
  COVARIANCES,
  close,
  forAll,
  normalRows,
  rowsArbitrary,
  scipyValues,
  statisticsOf,
} from '../support.ts';

/** The default prior of the rows themselves: m₀ their mean, Ψ = 0.3·Cov. */
function dataPrior(rows: number[], d: number, covariance: Covariance): Niw {
  const T = statisticsOf(rows, d, covariance);
  const cov = scatter(T, d, covariance).map((v) => v / (T[0] - 1));
  const psi = priorScale('data-cov', 0.3, cov, covariance);
  return niwPrior({ mean: mean(T, d), kappa: 1e-4, nu: d + 2, psi, covariance });
}

/** Statistics of three thirds of n rows around three centres. */
function thirds(seed: number, n: number, d: number, covariance: Covariance) {
  const parts = [0, 1, 2].map((c) => normalRows(seed + c, n, d, Array(d).fill(3 * c)));
  return { rows: parts.flat(), parts: parts.map((part) => statisticsOf(part, d, covariance)) };
}

describe('hastings', () => {
  test("ratios equal SciPy's, for two and more parts, tempered or not", () => {
    for (const { d, mean, kappa, nu, psi, parts, alpha, zeta, value } of scipyValues().ratios) {
      const prior = niwPrior({
        mean: Float64Array.from(mean),
        psi: Float64Array.from(psi),
        kappa,
        nu,
        covariance: 'full',
      });
      const T = parts.map((rows) => statisticsOf(rows, d, 'full'));
      close(logSplitRatio(prior, T, alpha, zeta), value, 1e-11);
    }
  });

  test('coarsening', () => {
    assert.equal(coarsening(70_000, 10_000), 1 / 7);
    assert.equal(coarsening(64_000, 32_000), 0.5);
    assert.equal(coarsening(9_000, 10_000), 1);
    assert.equal(coarsening(10_000, 10_000), 1);
    assert.equal(coarsening(70_000, 0), 1);
    assert.equal(coarsening(0, 10_000), 1);
  });

  for (const covariance of COVARIANCES) {
    test(`a split changes the evidence by its ratio, whatever other clusters there are (${covariance})`, () => {
      forAll(
        [
          fc.integer({ min: 1, max: 1e6 }),
          fc.integer({ min: 1, max: 4 }),
          fc.double({ min: 0.05, max: 1, noNaN: true }),
          fc.integer({ min: 2, max: 3 }),
        ],
        (seed, d, zeta, count) => {
          const { rows, parts } = thirds(seed, 20, d, covariance);
          const prior = dataPrior(rows, d, covariance);
          const others = thirds(seed + 9, 15, d, covariance).parts;
          const split = parts.slice(0, count);
          const evidence = (clusters: Float64Array[]) => logEvidence(prior, clusters, 10, zeta);
          const gain = evidence([...others, ...split]) - evidence([split.reduce(addStatistics), ...others]);
          close(gain, logSplitRatio(prior, split, 10, zeta), 1e-8);
        },
      );
    });

    test(`a search costs ½·log ñ for each parameter of the parts beyond the first (${covariance})`, () => {
      const d = 3;
      const { rows, parts } = thirds(4, 30, d, covariance);
      const prior = dataPrior(rows, d, covariance);
      // Weight, mean and covariance.
      const parameters = 1 + d + (covariance === 'full' ? 6 : 3);
      for (const zeta of [1, 0.4]) {
        close(searchCost(prior, parts.slice(0, 2), zeta), (parameters * Math.log(zeta * 60)) / 2, 1e-12);
        close(searchCost(prior, parts, zeta), parameters * Math.log(zeta * 90), 1e-12);
      }
    });
  }

  test('an empty part is never split off, and an empty cluster always merges', () => {
    forAll([rowsArbitrary(6, 12, 2)], ({ d, rows }) => {
      const psi = priorScale('isotropic', 1, new Float64Array(d * d), 'full');
      const prior = niwPrior({
        mean: new Float64Array(d),
        kappa: 1e-4,
        nu: d + 2,
        psi,
        covariance: 'full',
      });
      const [T, none] = [statisticsOf(rows, d, 'full'), statisticsOf([], d, 'full')];
      assert.equal(logSplitRatio(prior, [T, none], 10, 1), -Infinity);
      assert.equal(logMergeRatio(prior, none, T, 10, 1), Infinity);
    });
  });

  test('a part of five rows is too small to propose', () => {
    const part = (n: number) => Float64Array.of(n, 0, 0);
    assert.ok(proposable([part(6), part(6)], 1));
    assert.ok(!proposable([part(6), part(5), part(6)], 1));
    assert.ok(!proposable([part(60)], 1));
    assert.ok(!proposable([part(40), part(100)], 0.025) && proposable([part(41), part(100)], 0.025));
  });

  test('accepts with probability min(1, H)', () => {
    assert.ok(accepts(1e-9, 0.999999));
    assert.ok(accepts(Infinity, 0.5));
    assert.ok(accepts(Math.log(0.3), 0.2999));
    assert.ok(!accepts(Math.log(0.3), 0.3001));
    assert.ok(!accepts(-Infinity, 0));
    assert.ok(!accepts(Number.NaN, 0));
  });
});
