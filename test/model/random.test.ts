import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { generator, priority, shuffledPrefix } from '../../model/random.ts';
import { forAll } from './support.ts';

const draw = (n: number, next: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => next(i));

/** The χ² of `values` in [0, 1) in equal bins, in standard deviations above its mean. */
function chiSquare(values: Iterable<number>, bins: number): number {
  const counts = new Float64Array(bins);
  let n = 0;
  for (const v of values) {
    counts[Math.floor(v * bins)]++;
    n++;
  }
  const chi = counts.reduce((sum, c) => sum + (c - n / bins) ** 2 / (n / bins), 0);
  return (chi - (bins - 1)) / Math.sqrt(2 * (bins - 1));
}

/** Pairs of neighbours as one number in [0, 1): the cell of a 64 × 64 grid. */
const pairs = (values: Float64Array) =>
  draw(values.length - 1, (i) => (Math.floor(values[i] * 64) + Math.floor(values[i + 1] * 64) / 64) / 64);

function assertUniform(values: Float64Array) {
  assert.ok(values.every((v) => v >= 0 && v < 1));
  assert.ok(Math.abs(chiSquare(values, 1000)) < 5, `χ² ${chiSquare(values, 1000)}`);
  assert.ok(
    Math.abs(chiSquare(pairs(values), 4096)) < 5,
    `χ² of neighbours ${chiSquare(pairs(values), 4096)}`,
  );
  const low = values.map((v) => (v * 2 ** 26) % 1);
  assert.ok(Math.abs(chiSquare(low, 1000)) < 5, `χ² of the low bits ${chiSquare(low, 1000)}`);
}

function assertClose(actual: number[], expected: number[]) {
  const close = actual.every((x, i) => Math.abs(x - expected[i]) < 1e-12);
  assert.ok(close && actual.length === expected.length, `${actual} is not ${expected}`);
}

/** Deviation of the mean of f over the values from the expected one, in standard errors. */
function deviation(values: Float64Array, f: (x: number) => number, mean: number, variance: number): number {
  return (
    (values.reduce((sum, x) => sum + f(x), 0) / values.length - mean) / Math.sqrt(variance / values.length)
  );
}

describe('generator', () => {
  test('has not changed', () => {
    const rng = generator(42n, 'batches', 3, 2 ** 40);
    assert.deepEqual([rng.uint32(), rng.uint32(), rng.below(1000)], [589531130, 1795726891, 299]);
    assertClose(
      [rng.uniform(), rng.normal(), rng.gamma(5), rng.gamma(0.5)],
      [0.06741102084949757, -1.3170680029268504, 2.557914947198167, 0.07111667266262212],
    );
  });

  test('depends on seed, purpose and keys alone', () => {
    const first = (seed: bigint, purpose: string, ...keys: number[]) =>
      generator(seed, purpose, ...keys).uniform();
    const keys = [[], [0], [0, 0], [1], [-1], [2 ** 32], [0, 1], [1, 0]];
    const streams = [
      [2n, 'a'],
      [1n + (1n << 32n), 'a'],
      [1n, 'b'],
      [1n, 'aa'],
      [1n, ''],
    ] as const;
    const all = [
      ...keys.map((own) => first(1n, 'a', ...own)),
      ...streams.map(([seed, purpose]) => first(seed, purpose)),
    ];
    assert.equal(new Set(all).size, all.length);
    assert.equal(first(1n, 'a', 7), first(1n, 'a', 7));
    assert.equal(first(1n, 'a'), first(1n + (1n << 64n), 'a'), 'only 64 bits of the seed count');
    assert.throws(() => first(1n, 'a', 0.5), RangeError);
  });

  test('is uniform along a stream, and across neighbouring keys, seeds and purposes', () => {
    const rng = generator(1n, 'test');
    assertUniform(draw(1_000_000, () => rng.uniform()));
    assertUniform(draw(50_000, (i) => generator(1n, 'test', i).uniform()));
    assertUniform(draw(50_000, (i) => generator(1n, 'test', 5, i).uniform()));
    assertUniform(draw(50_000, (i) => generator(BigInt(i), 'test').uniform()));
    assertUniform(draw(50_000, (i) => generator(BigInt(i) << 32n, 'test').uniform()));
    assertUniform(draw(50_000, (i) => generator(1n, `purpose ${i}`).uniform()));
  });

  test('normal has the moments and the tails of a normal', () => {
    const rng = generator(3n, 'test');
    const x = draw(1_500_000, () => rng.normal());
    const near = (f: (x: number) => number, mean: number, variance: number) =>
      assert.ok(Math.abs(deviation(x, f, mean, variance)) < 5, `${f}: ${deviation(x, f, mean, variance)}`);
    near((v) => v, 0, 1);
    near((v) => v ** 2, 1, 2);
    near((v) => v ** 3, 0, 15);
    near((v) => v ** 4, 3, 96);
    near((v) => v ** 6, 15, 10395 - 225);
    for (const [threshold, p] of [
      [0.1, 0.460172162722971],
      [0.5, 0.308537538725987],
      [1, 0.158655253931457],
      [2, 0.0227501319481792],
      [3.654152885361009, 0.000129016243827],
      [4, 3.16712418331199e-5],
    ]) {
      near((v) => Number(v > threshold), p, p * (1 - p));
      near((v) => Number(v < -threshold), p, p * (1 - p));
    }
  });

  test('gamma has its mean, variance and third moment', () => {
    const rng = generator(4n, 'test');
    for (const k of [0.3, 1, 2.5, 5, 100]) {
      const x = draw(400_000, () => rng.gamma(k));
      const raw = (m: number) => Array.from({ length: m }, (_, i) => k + i).reduce((a, b) => a * b, 1);
      for (const m of [1, 2, 3]) {
        const z = deviation(x, (v) => v ** m, raw(m), raw(2 * m) - raw(m) ** 2);
        assert.ok(Math.abs(z) < 5, `shape ${k}, moment ${m}: ${z}`);
      }
    }
    assert.throws(() => rng.gamma(0), RangeError);
  });

  test('below is unbiased, even where n does not divide 2³² or exceeds it', () => {
    const rng = generator(5n, 'test');
    for (const n of [3, 1000, 3 * 2 ** 30, 3 * 2 ** 40]) {
      const x = draw(300_000, () => rng.below(n));
      assert.ok(x.every((v) => Number.isInteger(v) && v >= 0 && v < n));
      assert.ok(
        Math.abs(
          chiSquare(
            x.map((v) => v / n),
            3,
          ),
        ) < 5,
      );
    }
    assert.equal(rng.below(1), 0);
    for (const n of [0, -1, 1.5, Number.NaN]) assert.throws(() => rng.below(n), RangeError);
  });
});

describe('priority', () => {
  test('has not changed', () => {
    const u = priority(42n);
    assert.deepEqual(
      [u(0), u(1), u(2 ** 32), u(2 ** 53 - 1)],
      [0.5144584267596345, 0.26430745884474705, 0.7171581622493907, 0.37022980104584124],
    );
  });

  test('is uniform over rows, their neighbours, strides, far rows and seeds', () => {
    const u = priority(9n);
    assertUniform(draw(1_000_000, u));
    assertUniform(draw(400_000, (i) => u(i * 1024)));
    assertUniform(draw(400_000, (i) => u(i * 2 ** 32)));
    assertUniform(draw(400_000, (i) => u(2 ** 53 - 1 - i)));
    assertUniform(draw(50_000, (i) => priority(BigInt(i))(12345)));
  });
});

describe('shuffledPrefix', () => {
  test('gives distinct indices in range', () => {
    forAll([fc.nat(300), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat()], (n, share, key) => {
      const count = Math.floor(n * share);
      const indices = shuffledPrefix(generator(1n, 'shuffle', key), n, count);
      assert.equal(indices.length, count);
      assert.equal(new Set(indices).size, count);
      assert.ok(indices.every((i) => i < n));
    });
    assert.throws(() => shuffledPrefix(generator(1n, 'shuffle'), 3, 4), RangeError);
  });
});
