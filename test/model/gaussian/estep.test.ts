import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type CholeskyForm,
  eStepOf,
  mostLikely,
  roundingAmplification,
} from '../../../model/gaussian/estep.ts';
import { cholesky, symmetricEigen } from '../../../model/linalg.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { type Covariance, statisticsLength } from '../../../model/statistics.ts';
import {
  COVARIANCES,
  close,
  eachMoment,
  fullCovariance,
  logDensities,
  normals,
  scipyValues,
} from '../support.ts';

const { fround } = Math;

interface Shape {
  k: number;
  d: number;
  covariance: Covariance;
  /** Largest over smallest eigenvalue, largest standard deviation, distance of the means: in units of `scale`. */
  condition: number;
  sd: number;
  apart: number;
}

function randomMixture(seed: number, of: Shape): { mixture: Mixture; scale: Float64Array } {
  const { k, d, covariance } = of;
  const next = normals(seed);
  const scale = Float64Array.from({ length: d }, () => Math.exp(next()));
  const values = Array.from({ length: d }, (_, i) => of.sd ** 2 * of.condition ** (-i / Math.max(1, d - 1)));
  const rotated = () => {
    const a = new Float64Array(d * d);
    for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) a[i * d + j] = a[j * d + i] = next();
    const { vectors } = symmetricEigen(a, d);
    return a.map((_, p) => {
      const [i, j] = [Math.floor(p / d), p % d];
      return (
        scale[i] *
        scale[j] *
        values.reduce((sum, v, e) => sum + v * vectors[e * d + i] * vectors[e * d + j], 0)
      );
    });
  };
  const mixture: Mixture = {
    k,
    d,
    covariance,
    weights: new Float64Array(k).fill(1 / k),
    means: Array.from({ length: k }, () => scale.map((s) => s * of.apart * next())),
    covariances: Array.from({ length: k }, () =>
      covariance === 'full' ? rotated() : Float64Array.from(values, (v, i) => v * scale[i] ** 2),
    ),
  };
  return { mixture, scale };
}

/** n rows of cluster k in coordinates y, rounded to float32. */
function rowsOf(mixture: Mixture, scale: Float64Array, k: number, n: number, seed: number): Float32Array[] {
  const { d } = mixture;
  const next = normals(seed);
  const l = cholesky(fullCovariance(mixture, k), d)!;
  return Array.from({ length: n }, () => {
    const z = Array.from({ length: d }, next);
    return Float32Array.from({ length: d }, (_, i) => {
      let x = mixture.means[k][i];
      for (let j = 0; j <= i; j++) x += l[i * d + j] * z[j];
      return x / scale[i];
    });
  });
}

/** What a float32 kernel computes for φ(y)·columns. */
function product(
  y: Float32Array,
  columns: Float32Array,
  k: number,
  K: number,
  covariance: Covariance,
): number {
  const d = y.length;
  const phi = new Float32Array(statisticsLength(d, covariance));
  phi[0] = 1;
  phi.set(y, 1);
  eachMoment(d, covariance, (i, j, p) => {
    phi[p] = y[i] * y[j];
  });
  return phi.reduce((sum, v, p) => fround(sum + fround(v * columns[p * K + k])), 0);
}

/** What a float32 kernel computes in the Cholesky form. */
function whitened(y: Float32Array, form: CholeskyForm, k: number, K: number): number {
  const d = y.length;
  let squares = 0;
  for (let i = k * d; i < k * d + d; i++) {
    let u = 0;
    for (let j = 0; j < d; j++) u = fround(u + fround(y[j] * form.weights[j * K * d + i]));
    u = fround(u + form.bias[i]);
    squares = fround(squares + fround(u * u));
  }
  return fround(form.constant[k] - squares / 2);
}

/** Log-densities in float64 of a row in coordinates y, plus the constant that both forms drop. */
function reference(mixture: Mixture, scale: Float64Array, y: Float32Array): number[] {
  const x = scale.map((s, i) => s * y[i]);
  const dropped = (mixture.d / 2) * Math.log(2 * Math.PI) + scale.reduce((sum, s) => sum + Math.log(s), 0);
  return [...logDensities(mixture, x)].map((v) => v + dropped);
}

describe('estep', () => {
  test("log-densities equal SciPy's", () => {
    for (const of of scipyValues().densities) {
      for (const covariance of COVARIANCES) {
        const mixture: Mixture = {
          k: 3,
          d: of.d,
          covariance,
          weights: Float64Array.from(of.weights),
          means: of.means.map((m) => Float64Array.from(m)),
          covariances: of.covariances.map((c) =>
            Float64Array.from(covariance === 'full' ? c : c.filter((_, p) => p % (of.d + 1) === 0)),
          ),
        };
        close(logDensities(mixture, Float64Array.from(of.x)), of[covariance], 1e-12);
      }
    }
  });

  for (const covariance of COVARIANCES) {
    test(`both forms agree with float64 on a well-conditioned mixture (${covariance})`, () => {
      for (const d of [1, 3, 10]) {
        const { mixture, scale } = randomMixture(d, { k: 4, d, covariance, condition: 10, sd: 1, apart: 1 });
        const [columns, form] = [
          eStepOf(mixture, scale, 'product').theta,
          eStepOf(mixture, scale, 'cholesky'),
        ];
        assert.equal(eStepOf(mixture, scale).form, 'product');
        for (const y of rowsOf(mixture, scale, 2, 20, 9)) {
          const expected = reference(mixture, scale, y);
          for (let k = 0; k < 4; k++) {
            close(product(y, columns, k, 4, covariance), expected[k], 1e-4);
            close(whitened(y, form, k, 4), expected[k], 1e-5);
          }
        }
      }
    });

    // As docs/algorithm.md says: where the product form is chosen, a typical row's log-density is good to about 1e-3.
    test(`the product form is chosen where float32 is good enough (${covariance})`, () => {
      const chosen = { product: 0, cholesky: 0 };
      for (const d of [1, 5, 32])
        for (const condition of [1, 1e4])
          for (const sd of [1, 0.3, 0.03])
            for (const apart of [0, 0.5, 2]) {
              const shape = { k: 3, d, covariance, condition, sd, apart };
              const { mixture, scale } = randomMixture(d * condition + sd * 100 + apart, shape);
              const { form } = eStepOf(mixture, scale);
              chosen[form]++;
              if (form === 'cholesky') continue;
              const { theta } = eStepOf(mixture, scale, 'product');
              for (const k of [0, 1, 2]) {
                const errors = rowsOf(mixture, scale, k, 40, 5).map(
                  (y) => product(y, theta, k, 3, covariance) - reference(mixture, scale, y)[k],
                );
                const lost = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length);
                assert.ok(lost <= 1e-3, `${JSON.stringify(shape)}: lost ${lost}`);
              }
            }
      assert.ok(chosen.product > 10 && chosen.cholesky > 10, JSON.stringify(chosen));
    });

    test(`a weight of zero gives finite log-densities that are never the largest (${covariance})`, () => {
      const { mixture, scale } = randomMixture(2, {
        k: 2,
        d: 3,
        covariance,
        condition: 2,
        sd: 1,
        apart: 0.1,
      });
      const dead: Mixture = { ...mixture, weights: Float64Array.of(1, 0) };
      const form = eStepOf(dead, scale, 'cholesky');
      assert.ok(
        [...eStepOf(dead, scale, 'product').theta, ...form.weights, ...form.bias, ...form.constant].every(
          Number.isFinite,
        ),
      );
      for (const y of rowsOf(dead, scale, 1, 20, 1)) {
        const [alive, gone] = [0, 1].map((k) => whitened(y, form, k, 2));
        assert.ok(gone < alive - 30);
      }
    });
  }

  test('each row is most likely where its log-density is largest, and in no cluster of weight 0', () => {
    const { mixture, scale } = randomMixture(6, {
      k: 5,
      d: 3,
      covariance: 'full',
      condition: 9,
      sd: 1,
      apart: 1,
    });
    const next = normals(7);
    const rows = Float32Array.from({ length: 3 * 400 }, () => 2 * next());
    const labels = (own: Mixture) => [...mostLikely(eStepOf(own, scale, 'cholesky'), rows)];
    const expected = (own: Mixture) =>
      Array.from({ length: 400 }, (_, i) => {
        const densities = [
          ...logDensities(
            own,
            Float64Array.from(rows.subarray(3 * i, 3 * i + 3), (v, j) => v * scale[j]),
          ),
        ];
        return densities.indexOf(Math.max(...densities));
      });
    assert.deepEqual(labels(mixture), expected(mixture));
    assert.equal(new Set(labels(mixture)).size, 5);
    const without = { ...mixture, weights: mixture.weights.with(labels(mixture)[0], 0) };
    assert.deepEqual(labels(without), expected(without));
    // Far beyond what float32 can tell.
    rows.fill(1e17);
    assert.ok(!labels(without).includes(without.weights.indexOf(0)));
    // The first one on a tie.
    const twice = {
      ...mixture,
      means: mixture.means.map(() => mixture.means[0]),
      covariances: mixture.covariances.map(() => mixture.covariances[0]),
      weights: mixture.weights.map(() => 0.2),
    };
    assert.deepEqual(new Set(labels(twice)), new Set([0]));
  });

  test('roundingAmplification: second moments about the origin over the smallest variance, in coordinates y', () => {
    const of = (mean: number[], covariance: number[], scale = [1, 1]) =>
      roundingAmplification(
        {
          k: 1,
          d: 2,
          covariance: 'full',
          weights: Float64Array.of(1),
          means: [Float64Array.from(mean)],
          covariances: [Float64Array.from(covariance)],
        },
        Float64Array.from(scale),
      );
    assert.equal(of([0, 0], [1, 0, 0, 1]), 2);
    assert.equal(of([0, 30], [4, 0, 0, 0.25]), (900 + 0.25) * (1 / 4 + 4));
    // Correlated by 1 − ε: the smallest eigenvalue is ε.
    const flat = of([0, 0], [1, 1 - 1e-6, 1 - 1e-6, 1]);
    assert.ok(Math.abs(flat * 1e-6 - 1) < 1e-3, `${flat}`);
    // A common scale of all dimensions changes nothing.
    assert.ok(Math.abs(of([0, 3000], [400, 0, 0, 25], [10, 10]) / of([0, 300], [4, 0, 0, 0.25]) - 1) < 1e-12);
    assert.equal(of([0, 0], [1, 1, 1, 1]), Infinity);
  });

  test('throws if a covariance is not positive definite', () => {
    const { mixture, scale } = randomMixture(3, {
      k: 2,
      d: 2,
      covariance: 'full',
      condition: 2,
      sd: 1,
      apart: 1,
    });
    const broken: Mixture = {
      ...mixture,
      covariances: [mixture.covariances[0], Float64Array.of(1, 2, 2, 1)],
    };
    assert.throws(() => eStepOf(broken, scale, 'product').theta, /cluster 1 is not positive definite/);
    const diagonal = [Float64Array.of(1, 1), Float64Array.of(1, -1)];
    const flat: Mixture = { ...mixture, covariance: 'diag', covariances: diagonal };
    assert.throws(() => eStepOf(flat, scale), /cluster 1 is not positive definite/);
  });
});
