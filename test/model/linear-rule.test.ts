import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { niwPrior } from '../../model/gaussian/niw.ts';
import {
  discriminantAxes,
  discriminantRule,
  type LinearRule,
  nearestRule,
  thresholdRule,
} from '../../model/gaussian/splits.ts';
import { whitened, whitener } from '../../model/linalg.ts';
import { scatter } from '../../model/statistics.ts';
import {
  COVARIANCES,
  close,
  forAll,
  logDensities,
  normalRows,
  positiveDefinite,
  statisticsOf,
} from './support.ts';

const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
  Array.from(x).reduce((sum, value, i) => sum + value * y[i], 0);
const values = ({ weights, offsets }: LinearRule, x: ArrayLike<number>) =>
  weights.map((w, j) => dot(w, x) + offsets[j]);
const rowsOf = (all: number[], d: number) =>
  Array.from({ length: all.length / d }, (_, i) => all.slice(i * d, (i + 1) * d));
const vectors = (all: number[], d: number) => rowsOf(all, d).map((row) => Float64Array.from(row));
/** The differences between the entries: a rule's values have an offset that all parts share. */
const differences = (of: number[]) => of.map((value) => value - of[0]);

const anySeed = fc.integer({ min: 1, max: 1e6 });
const anyDim = fc.integer({ min: 1, max: 5 });

for (const covariance of COVARIANCES)
  describe(`linear rules (${covariance})`, () => {
    /** Log-densities of Gaussians with these means and a common covariance, weighted. */
    const densities = (x: number[], means: Float64Array[], metric: Float64Array, weights: number[]) =>
      Array.from(
        logDensities(
          {
            ...{ k: means.length, d: x.length, covariance, means },
            weights: Float64Array.from(weights),
            covariances: means.map(() => metric),
          },
          Float64Array.from(x),
        ),
      );

    test('with shares, it is the most probable of Gaussians with that covariance', () => {
      forAll([anySeed, anyDim, fc.integer({ min: 1, max: 6 })], (seed, d, count) => {
        const metric = positiveDefinite(seed, d, covariance);
        const centres = vectors(normalRows(seed + 1, count, d), d);
        const sizes = normalRows(seed + 3, count, 1).map((v) => Math.exp(v));
        const total = sizes.reduce((a, b) => a + b);
        const shares = sizes.map((size) => size / total);
        const rule = nearestRule(centres, whitener(metric, d, covariance), shares);
        for (const x of rowsOf(normalRows(seed + 2, 20, d), d))
          close(differences(values(rule, x)), differences(densities(x, centres, metric, shares)), 1e-7);
      });
    });

    test('the discriminant finds the most probable part, with the covariance of all parts and Ψ', () => {
      forAll([anySeed, anyDim, fc.integer({ min: 2, max: 4 })], (seed, d, count) => {
        const psi = positiveDefinite(seed, d, covariance);
        const nu = d + 2.5;
        const prior = niwPrior({ mean: new Float64Array(d), kappa: 0.1, nu, psi, covariance });
        const sizes = Array.from({ length: count }, (_, j) => 5 + 7 * j);
        const parts = sizes.map((n, j) =>
          statisticsOf(normalRows(seed + 10 * j, n, d, Array(d).fill(2 * j)), d, covariance),
        );
        const n = sizes.reduce((a, b) => a + b);
        const within = psi.map(
          (value, p) =>
            (value + parts.reduce((sum, T) => sum + scatter(T, d, covariance)[p], 0)) / (n + nu - d - 1),
        );
        const means = parts.map((T) => T.slice(1, 1 + d).map((s) => s / T[0]));
        const rule = discriminantRule(prior, parts);
        for (const x of rowsOf(normalRows(seed + 2, 20, d), d))
          close(
            differences(values(rule, x)),
            differences(
              densities(
                x,
                means,
                within,
                sizes.map((size) => size / n),
              ),
            ),
            1e-7,
          );
        const none = statisticsOf([], d, covariance);
        assert.deepEqual(discriminantRule(prior, [none, ...parts, none]), rule, 'without empty parts');
      });
    });

    test('discriminant axes lead to the nearest other part; the variance along them is that within the parts', () => {
      forAll([anySeed, anyDim, fc.integer({ min: 2, max: 5 })], (seed, d, count) => {
        const psi = positiveDefinite(seed, d, covariance);
        const nu = d + 2.5;
        const prior = niwPrior({ mean: new Float64Array(d), kappa: 0.1, nu, psi, covariance });
        const sizes = Array.from({ length: count }, (_, j) => 5 + 7 * j);
        const centres = rowsOf(normalRows(seed + 5, count, d), d).map((row) => row.map((v) => 3 * v));
        const parts = sizes.map((n, j) =>
          statisticsOf(normalRows(seed + 10 * j, n, d, [...centres[j]]), d, covariance),
        );
        const n = sizes.reduce((a, b) => a + b);
        const within = psi.map(
          (value, p) =>
            (value + parts.reduce((sum, T) => sum + scatter(T, d, covariance)[p], 0)) / (n + nu - d - 1),
        );
        const inverse = whitener(within, d, covariance);
        const means = parts.map((T) => T.slice(1, 1 + d).map((s) => s / T[0]));
        const squared = (a: number, b: number) => {
          const u = whitened(
            inverse,
            means[a].map((value, i) => value - means[b][i]),
          );
          return dot(u, u);
        };
        const found = discriminantAxes(prior, parts);
        assert.equal(found.length, count);
        for (const [j, { axis, nearest, centre, halfway, sd }] of found.entries()) {
          const others = [...means.keys()].filter((other) => other !== j);
          const least = Math.min(...others.map((other) => squared(j, other)));
          assert.notEqual(nearest, j);
          close(squared(j, nearest), least, 1e-9);
          close([centre - halfway, centre + halfway], [dot(axis, means[j]), dot(axis, means[nearest])], 1e-8);
          const variance =
            covariance === 'full'
              ? dot(
                  axis,
                  axis.map((_, i) => dot(within.subarray(i * d, (i + 1) * d), axis)),
                )
              : within.reduce((sum, value, i) => sum + value * axis[i] ** 2, 0);
          close(variance, sd ** 2, 1e-8);
          close(2 * halfway, sd ** 2, 1e-9);
        }
      });
    });
  });

test('a threshold rule separates rows below from those at and above it', () => {
  const rule = thresholdRule(Float64Array.of(2, -1), 3);
  for (const [x, part] of [
    [[2, 2], 0],
    [[2, 0.5], 1],
    [[0, -4], 1],
    [[0, 0], 0],
  ] as [number[], number][]) {
    const [low, high] = values(rule, x);
    assert.equal(Number(high > low), part, `${x}`);
  }
});
