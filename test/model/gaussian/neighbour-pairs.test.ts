import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { neighbourPairs } from '../../../model/gaussian/neighbour-pairs.ts';
import { dot, minus, unwhitened, whitened, whitener } from '../../../model/linalg.ts';
import type { Mixture } from '../../../model/mixture.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { randomNumbers } from '../../coordinator/fit/support.ts';
import { COVARIANCES } from '../support.ts';

/** A mixture of components of unlike sizes, shapes and weights. */
function randomMixture(seed: number, k: number, d: number, covariance: Covariance): Mixture {
  const { normal, uniform } = randomNumbers(seed);
  const of = (values: () => number, n = d) => Float64Array.from({ length: n }, values);
  const weights = of(() => 0.05 + uniform(), k);
  const total = weights.reduce((a, b) => a + b);
  const covariances = Array.from({ length: k }, () => {
    const size = Math.exp(normal());
    if (covariance === 'diag') return of(() => size * Math.exp(normal()));
    const factor = of(() => normal() * Math.exp(normal() / 2), d * d);
    const row = (i: number) => factor.subarray(i * d, (i + 1) * d);
    return Float64Array.from({ length: d * d }, (_, p) => {
      const [i, j] = [Math.floor(p / d), p % d];
      return size * (dot(row(i), row(j)) / d + (i === j ? 0.05 : 0));
    });
  });
  const means = Array.from({ length: k }, () => of(() => 3 * normal()));
  return { k, d, covariance, weights: weights.map((w) => w / total), means, covariances };
}

/** The pairs by the discriminants of all, and their axes. */
function byBruteForce({ k, d, covariance, weights, means, covariances }: Mixture) {
  const discriminant = (a: number, b: number) => {
    const both = weights[a] + weights[b];
    const within = covariances[a].map((v, p) => (weights[a] * v + weights[b] * covariances[b][p]) / both);
    const inverse = whitener(within, d, covariance);
    const apart = minus(means[b], means[a]);
    const axis = unwhitened(inverse, whitened(inverse, apart));
    return { axis, length: dot(axis, apart) };
  };
  const near = means.map((_, a) => {
    const others = [...means.keys()].filter((b) => b !== a).map((b) => ({ b, ...discriminant(a, b) }));
    return new Set(
      others
        .sort((p, q) => p.length - q.length)
        .slice(0, 8)
        .map(({ b }) => b),
    );
  });
  const pairs = [];
  for (let a = 0; a < k; a++)
    for (let b = a + 1; b < k; b++)
      if (near[a].has(b) || near[b].has(a)) pairs.push({ a, b, ...discriminant(a, b) });
  return pairs;
}

describe('pairs of neighbours', () => {
  for (const covariance of COVARIANCES)
    test(`are those that all distances yield, to the bit (${covariance})`, () => {
      for (const [seed, [k, d]] of [
        [60, 2],
        [60, 7],
        [40, 16],
        [5, 3],
        [2, 1],
      ].entries()) {
        const mixture = randomMixture(seed, k, d, covariance);
        const pairs = neighbourPairs(mixture).map(({ a, b, axis, length }) => ({ a, b, axis, length }));
        assert.deepEqual(pairs, byBruteForce(mixture));
      }
    });

  test('are not made of components with the same mean', () => {
    const mixture = randomMixture(1, 12, 3, 'full');
    mixture.means[3] = mixture.means[7];
    const pairs = neighbourPairs(mixture);
    assert.ok(!pairs.some(({ a, b }) => a === 3 && b === 7));
    assert.ok(pairs.some(({ a }) => a === 3));
  });
});
