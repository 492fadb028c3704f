import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nearestPairs } from '../../model/gaussian/nearest-pairs.ts';
import { cholesky } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import { COVARIANCES, close, forAll, fullCovariance, normalRows, positiveDefinite } from './support.ts';

function mixtureOf(seed: number, k: number, d: number, covariance: 'full' | 'diag'): Mixture {
  const all = normalRows(seed, k, d).map((v) => 5 * v);
  return {
    ...{ k, d, covariance, weights: new Float64Array(k).fill(1 / k) },
    means: Array.from({ length: k }, (_, c) => Float64Array.from(all.slice(c * d, (c + 1) * d))),
    covariances: Array.from({ length: k }, (_, c) => positiveDefinite(seed + 7 * c, d, covariance)),
  };
}

/** Squared distance of b's mean from a, in standard deviations of a. */
function distanceOf(mixture: Mixture, a: number, b: number): number {
  const { d, means } = mixture;
  const l = cholesky(fullCovariance(mixture, a), d)!;
  // Solves L·u = x by forward substitution.
  const u = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    u[i] = means[b][i] - means[a][i];
    for (let j = 0; j < i; j++) u[i] -= l[i * d + j] * u[j];
    u[i] /= l[i * d + i];
  }
  return u.reduce((sum, value) => sum + value * value, 0);
}

const others = (k: number, a: number) => [...Array(k).keys()].filter((b) => b !== a);

for (const covariance of COVARIANCES)
  describe(`nearest pairs (${covariance})`, () => {
    test('are those of each cluster and its nearest by Mahalanobis distance, each once', () => {
      forAll(
        [
          fc.integer({ min: 1, max: 1e6 }),
          fc.integer({ min: 1, max: 9 }),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 4 }),
        ],
        (seed, k, d, count) => {
          const mixture = mixtureOf(seed, k, d, covariance);
          const expected = new Set<string>();
          for (let a = 0; a < k; a++)
            for (const b of others(k, a)
              .sort((p, q) => distanceOf(mixture, a, p) - distanceOf(mixture, a, q))
              .slice(0, count))
              expected.add(`${Math.min(a, b)}-${Math.max(a, b)}`);
          const pairs = nearestPairs(mixture, count);
          assert.deepEqual(
            pairs.map(({ a, b }) => `${Math.min(a, b)}-${Math.max(a, b)}`).sort(),
            [...expected].sort(),
          );
          for (const { a, b, distance } of pairs) close(distance, distanceOf(mixture, a, b), 1e-7);
        },
      );
    });
  });
