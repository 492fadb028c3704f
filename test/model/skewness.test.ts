import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generator, type Rng } from '../../model/random.ts';
import { isSkewed } from '../../model/skewness.ts';

const N = 800;
/** Of three draws, those that are skewed. */
const skewed = (name: string, draw: (rng: Rng, i: number) => number): number =>
  [0, 1, 2].filter((seed) => {
    const rng = generator('1', name, seed);
    const steps = isSkewed(Array.from({ length: N }, (_, i) => draw(rng, i)));
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }).length;

test('long tails of positive values', () => {
  assert.equal(
    skewed('exponential', (rng) => rng.gamma(1)),
    3,
  );
  assert.equal(
    skewed('gamma', (rng) => rng.gamma(0.5)),
    3,
  );
  assert.equal(
    skewed('log-normal', (rng) => Math.exp(0.8 * rng.normal())),
    3,
  );
  assert.equal(
    skewed('clusters of them', (rng, i) => Math.exp(0.6 * rng.normal() + 3 * (i % 2))),
    3,
  );
});

test('Gaussian clusters of whatever places and sizes, and what has no tail', () => {
  const clusters = (centres: readonly number[], sd: number) => (rng: Rng) =>
    Math.max(0.01, centres[Math.floor(centres.length * rng.uniform() ** 2)] + sd * rng.normal());
  for (const centres of [[6], [5, 8], [4, 9, 20], [4, 5, 7, 12, 30]])
    assert.equal(skewed(`clusters ${centres}`, clusters(centres, 1)), 0, String(centres));
  assert.equal(
    skewed('uniform', (rng) => 0.01 + rng.uniform()),
    0,
  );
});

test('values of which that cannot be said', () => {
  const tail = (rng: Rng) => rng.gamma(1);
  assert.equal(
    skewed('zeros', (rng, i) => (i ? tail(rng) : 0)),
    0,
  );
  assert.equal(
    skewed('missing', (rng, i) => (i ? tail(rng) : Number.NaN)),
    0,
  );
  assert.equal(
    skewed('infinite', (rng, i) => (i ? tail(rng) : Infinity)),
    0,
  );
  assert.equal(
    skewed('whole numbers', (rng) => Math.ceil(3 * tail(rng))),
    0,
  );
  assert.equal(
    skewed('constant', () => 1),
    0,
  );
  assert.equal(
    skewed('few', (rng, i) => (i < 40 ? tail(rng) : Number.NaN)),
    0,
  );
});
