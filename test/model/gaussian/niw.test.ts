import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  learnedScale,
  logMarginal,
  multivariateGammaLn,
  type Niw,
  niwPrior,
  pointEstimate,
  priorOfClusters,
  priorScale,
} from '../../../model/gaussian/niw.ts';
import { addStatistics, type Covariance } from '../../../model/statistics.ts';
import {
  COVARIANCES,
  close,
  forAll,
  normalRows,
  rowsArbitrary,
  scipyValues,
  statisticsOf,
} from '../support.ts';

const onePrior = (m: number, kappa: number, nu: number, psi: number, covariance: Covariance = 'full') =>
  niwPrior({ mean: Float64Array.of(m), kappa, nu, psi: Float64Array.of(psi), covariance });

function unitPrior(d: number, covariance: Covariance, m = new Float64Array(d)): Niw {
  const psi = priorScale('isotropic', 2, new Float64Array(covariance === 'full' ? d * d : d), covariance);
  return niwPrior({ mean: m, kappa: 0.1, nu: d + 2, psi, covariance });
}

describe('niw', () => {
  test("multivariate gamma function equals SciPy's", () => {
    for (const { a, d, value } of scipyValues().multigammaln) close(multivariateGammaLn(a, d), value, 1e-12);
  });

  test("log marginal equals SciPy's, by predictive densities and by Bayes' identity", () => {
    for (const of of scipyValues().marginals) {
      for (const covariance of COVARIANCES) {
        const { d, kappa, nu } = of;
        const psi = Float64Array.from(
          covariance === 'full' ? of.psi : of.psi.filter((_, p) => p % (d + 1) === 0),
        );
        const prior = niwPrior({ mean: Float64Array.from(of.mean), kappa, nu, psi, covariance });
        close(logMarginal(prior, statisticsOf(of.rows, d, covariance, of.weights)), of[covariance], 1e-11);
      }
    }
  });

  test('in many columns, clusters whose covariances are alike share them, and others do not', () => {
    const clustersOf = (d: number, extents: number[]) =>
      extents.map((extent, k) => {
        const rows = normalRows(k, 60, d).map((value, p) => extent * value + (p % d === k ? 9 : 0));
        return statisticsOf(rows, d, 'full');
      });
    const learned = (d: number, extents: number[]) => {
      const covariance = Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) === 0 ? 1 : 0));
      const prior = { ...unitPrior(d, 'full'), kappa: 1e-4, nu: 2 * d + 1 };
      return priorOfClusters(prior, 1, clustersOf(d, extents), covariance);
    };
    const freedom = (prior: Niw) => (prior.nu - prior.d - 1) / prior.d;
    const alike = learned(16, [1, 1, 1, 1]);
    assert.equal(freedom(alike), 64);
    // Means are 9 from that of the prior in one column of 16: as far as 16/81 rows of it allow.
    assert.ok(alike.kappa > 0.05 && alike.kappa < 0.5, `${alike.kappa}`);
    assert.equal(freedom(learned(16, [1, 2, 4, 8])), 1);
    // A single one is like itself, so that it is not for this that two are preferred. In few columns it is not asked.
    assert.deepEqual([learned(16, [1]), learned(15, [1, 1])].map(freedom), [64, 1]);
  });

  test('columns that tell no clusters apart have one mean, where there are three clusters', () => {
    const d = 18;
    const T = [0, 1, 2].map((k) => {
      const rows = normalRows(k, 200, d).map((value, p) => value + (p % d < 3 && p % d === k ? 4 : 0));
      return statisticsOf(rows, d, 'full');
    });
    const covariance = Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) === 0 ? 1 : 0));
    const prior = {
      ...unitPrior(
        d,
        'full',
        Float64Array.from(covariance.slice(0, d), (_, i) => (i < 3 ? 4 / 3 : 0)),
      ),
      nu: 2 * d + 1,
    };
    const learned = (clusters: Float64Array[], among?: Uint8Array) =>
      priorOfClusters(prior, 1, clusters, covariance, 1, among);
    const all = new Uint8Array(d).fill(1);
    const { alike, mean: m0 } = learned(T, all);
    assert.deepEqual([...alike!], [0, 0, 0, ...Array(d - 3).fill(1)]);
    const fit = pointEstimate({ ...prior, alike }, T[0]);
    assert.deepEqual([...fit.mean.slice(3)], [...m0.slice(3)]);
    assert.ok(fit.mean[0] > 3.5);
    // Only those that were alike before may be.
    const few = Uint8Array.from(all, (_, i) => (i > 9 ? 1 : 0));
    assert.deepEqual([...learned(T, few).alike!], [...few]);
    assert.deepEqual([learned(T).alike, learned(T.slice(0, 2), all).alike], [undefined, undefined]);
  });

  test('the mean of such a column costs nothing, and how far rows are from it counts in full', () => {
    const rows = normalRows(4, 30, 2, [1, 0.3]);
    const T = statisticsOf(rows, 2, 'diag');
    const known = { ...unitPrior(2, 'diag'), alike: Uint8Array.of(0, 1) };
    const column = (i: number) =>
      statisticsOf(
        rows.filter((_, p) => p % 2 === i),
        1,
        'full',
      );
    // κ → ∞: the mean is known.
    const apart =
      logMarginal(onePrior(0, 0.1, 3, 2), column(0)) + logMarginal(onePrior(0, 1e12, 3, 2), column(1));
    close(logMarginal(known, T), apart, 1e-9);
  });

  test('pointEstimate of a diagonal prior is the one-dimensional one in each dimension', () => {
    const d = 3;
    const rows = normalRows(2, 15, d, [0, 5, -3]);
    const fit = pointEstimate(unitPrior(d, 'diag'), statisticsOf(rows, d, 'diag'));
    for (let i = 0; i < d; i++) {
      const column = rows.filter((_, p) => p % d === i);
      const one = pointEstimate(onePrior(0, 0.1, 3, 2), statisticsOf(column, 1, 'full'));
      close([fit.mean[i], fit.covariance[i]], [one.mean[0], one.covariance[0]], 1e-13);
    }
  });

  for (const covariance of COVARIANCES) {
    test(`exchangeable: p(A) p(B|A) = p(A, B) = p(B) p(A|B), the posterior being the next prior (${covariance})`, () => {
      forAll([rowsArbitrary(2, 10)], ({ d, rows }) => {
        const prior = unitPrior(d, covariance);
        const [a, b] = [rows.slice(0, d), rows.slice(d)].map((part) => statisticsOf(part, d, covariance));
        const after = (T: Float64Array) => {
          const fit = pointEstimate(prior, T);
          const [kappa, nu] = [prior.kappa + T[0], prior.nu + T[0]];
          const psi = fit.covariance.map((v) => v * (covariance === 'full' ? nu + d + 2 : nu - d + 4));
          return niwPrior({ mean: fit.mean, kappa, nu, psi, covariance });
        };
        const joint = logMarginal(prior, addStatistics(a, b));
        close(logMarginal(prior, a) + logMarginal(after(a), b), joint, 1e-9);
        close(logMarginal(prior, b) + logMarginal(after(b), a), joint, 1e-9);
      });
    });
  }

  test('prior scales', () => {
    const cov = Float64Array.of(4, 1, 1, 9);
    assert.deepEqual([...priorScale('data-cov', 0.5, cov, 'full')], [2, 0.5, 0.5, 4.5]);
    const diagonal = Float64Array.of(4, 9);
    assert.deepEqual([...priorScale('data-cov', 0.5, diagonal, 'diag')], [2, 4.5]);
    assert.deepEqual([...priorScale('data-std', 0.5, cov, 'full')], [1, 0, 0, 1.5]);
    assert.deepEqual([...priorScale('isotropic', 0.5, diagonal, 'diag')], [0.5, 0.5]);
  });

  test('learned scale: c·(ν − D − 1) times the mean covariance of the clusters, and a share of that of the data', () => {
    const data = Float64Array.of(4, 1, 1, 9);
    const clusters = [Float64Array.of(1, 0.5, 0.5, 2), Float64Array.of(3, -0.5, -0.5, 4)];
    const psi = learnedScale(2, 4.5, 2, [0.25, 0.75], clusters, data);
    const within = [2.5, -0.25, -0.25, 3.5];
    close(
      psi,
      within.map((value, p) => 2 * 1.5 * (value + 1e-4 * data[p])),
      1e-14,
    );
  });

  const LEARNED = { weights: [0.2, 0.3, 0.5], nu: (d: number) => d + 1 + Math.max(1, d / 2) };

  for (const covariance of COVARIANCES) {
    test(`where clusters have no extent in a direction, the scale keeps ε of the data's there (${covariance})`, () => {
      const d = 2;
      const flat = covariance === 'full' ? Float64Array.of(1, 0, 0, 0) : Float64Array.of(1, 0);
      const data = covariance === 'full' ? Float64Array.of(5, 0, 0, 9) : Float64Array.of(5, 9);
      const nu = LEARNED.nu(d);
      const prior = (psi: Float64Array) =>
        niwPrior({
          ...{ mean: new Float64Array(d), kappa: 0.1, nu, psi },
          ...{ covariance, estimate: 'mean' as const },
        });
      // Rows on a line: however often Ψ is learned from the estimate, the direction across keeps its extent.
      const rows = normalRows(6, 40, 1).flatMap((v) => [v, 0]);
      const T = statisticsOf(rows, d, covariance);
      let psi = learnedScale(1, nu, d, [1], [flat], data);
      for (let epoch = 0; epoch < 200; epoch++)
        psi = learnedScale(1, nu, d, [1], [pointEstimate(prior(psi), T).covariance], data);
      const { covariance: fit } = pointEstimate(prior(psi), T);
      const across = fit[fit.length - 1];
      const degrees = nu - d - 1;
      // The fixed point of s = (degrees·(s + ε·9))/(degrees + n): s = degrees·ε·9/n.
      close([across / ((degrees * 1e-4 * 9) / 40)], [1], 1e-6);
      assert.ok(psi.at(-1)! >= degrees * 1e-4 * 9);
    });
  }

  test('an invalid prior throws, naming the parameter', () => {
    const ok = {
      mean: new Float64Array(2),
      kappa: 1,
      nu: 3,
      psi: Float64Array.of(1, 0, 0, 1),
      covariance: 'full' as const,
    };
    assert.doesNotThrow(() => niwPrior(ok));
    assert.throws(() => niwPrior({ ...ok, nu: 2.9 }), /nu is 2.9, must be at least D \+ 1 = 3/);
    assert.throws(() => niwPrior({ ...ok, nu: Number.NaN }), /nu/);
    assert.throws(() => niwPrior({ ...ok, kappa: 0 }), /kappa/);
    assert.throws(() => niwPrior({ ...ok, psi: Float64Array.of(1, 1, 1, 1) }), /positive definite/);
    assert.throws(() => niwPrior({ ...ok, psi: Float64Array.of(1, 0), covariance: 'diag' }), /positive/);
    assert.throws(() => niwPrior({ ...ok, covariance: 'diag' }), /expected 2/);
  });
});
