import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { generator, priority, type Rng, shuffledPrefix } from '../../model/random.ts';
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

const times = (count: number, next: () => number) => Array.from({ length: count }, next);

describe('for workers in other languages', () => {
  test('reference numbers', () => {
    const of = (...keys: number[]) => generator(42n, 'batches', ...keys);
    assert.deepEqual(times(3, of(3, 7).uint32), [1713160379, 2045386826, 3320452555]);
    assert.deepEqual(times(2, of(3, 7).uniform), [0.3988762270842303, 0.7731031177102279]);
    const long = of(3, 2 ** 40);
    assert.deepEqual([...times(2, long.uint32), long.below(1000)], [589531130, 1795726891, 299]);
    assert.deepEqual(times(2, generator(2n ** 63n + 5n, 'blocks').uint32), [3589388076, 979892627]);
    const sub = generator(42n, 'sub-batches', 12, 0);
    assert.deepEqual(
      times(8, () => sub.below(1000)),
      [865, 722, 188, 632, 87, 306, 757, 522],
    );
    const blocks = shuffledPrefix(generator(42n, 'blocks'), 10, 10);
    assert.deepEqual([...blocks], [0, 2, 3, 8, 7, 5, 6, 9, 1, 4]);
    assert.deepEqual([...shuffledPrefix(of(1, 0), 1000, 5)], [514, 128, 175, 419, 850]);
    assert.deepEqual(
      [0, 1, 1e6, 2 ** 32 + 5].map(priority(42n)),
      [0.5144584267596345, 0.26430745884474705, 0.8801545181778718, 0.7964773175068292],
    );
  });

  /** With big integers truncated to 32 bits. */
  test('the algorithm in plain arithmetic', () => {
    const word = (value: bigint) => BigInt.asUintN(32, value);
    const mix = (h: bigint) => {
      h = word((h ^ (h >> 16n)) * 0x85ebca6bn);
      h = word((h ^ (h >> 13n)) * 0xc2b2ae35n);
      return h ^ (h >> 16n);
    };
    const hash = (words: bigint[]) => {
      let [a, b, c] = [0x9e3779b9n, 0x243f6a88n, 0xb7e15162n];
      for (const w of words) {
        a = word(mix(word(a * 0x2c1b3c6dn) ^ w) + 0x3c6ef372n);
        b = word(mix(word(b * 0x297a2d39n) ^ a ^ w) + 0x6a09e667n);
        c = word(mix(word(c * 0x1b56c4e9n) ^ b ^ w) + 0x510e527fn);
      }
      return [a, b, c];
    };
    const words = (value: bigint) => [word(value), word(value >> 32n)];
    const next = (seed: bigint, purpose: string, keys: bigint[]) => {
      const letters = [...purpose].map((letter) => BigInt(letter.codePointAt(0)!));
      let [a, b, c] = hash([...words(seed), BigInt(letters.length), ...letters, ...keys.flatMap(words)]);
      let n = 1n;
      const draw = () => {
        const s = word(a + b + n);
        n = word(n + 1n);
        a = b ^ (b >> 9n);
        b = word(c + (c << 3n));
        c = word(word((c << 21n) | (c >> 11n)) + s);
        return Number(s);
      };
      times(12, draw);
      return draw;
    };
    for (const [seed, purpose, keys] of [
      [0n, '', []],
      [42n, 'batches', [3, 7]],
      [2n ** 64n - 1n, 'größe', [-1, 2 ** 40 + 3]],
    ] as [bigint, string, number[]][]) {
      const draw = next(seed, purpose, keys.map(BigInt));
      const rng: Rng = generator(seed, purpose, ...keys);
      assert.deepEqual(times(50, draw), times(50, rng.uint32));
      const uniform = () => ((draw() >>> 6) * 2 ** 27 + (draw() >>> 5)) * 2 ** -53;
      assert.deepEqual(times(20, uniform), times(20, rng.uniform));
      const below = (m: number) => {
        for (;;) {
          const x = draw();
          if (x < 2 ** 32 - (2 ** 32 % m)) return x % m;
        }
      };
      for (const m of [1, 7, 1000, 2 ** 31 + 1, 2 ** 32])
        assert.deepEqual(
          times(20, () => below(m)),
          times(20, () => rng.below(m)),
        );
      const v = [...Array(30).keys()];
      for (let i = 0; i < 20; i++) {
        const j = i + below(30 - i);
        [v[i], v[j]] = [v[j], v[i]];
      }
      assert.deepEqual(v.slice(0, 20), [...shuffledPrefix(rng, 30, 20)]);

      const [a, b, c] = hash([...words(seed), 0x70726930n]);
      for (const index of [0, 1, 12345, 2 ** 31, 2 ** 32 + 5, 2 ** 50 + 1]) {
        const [lo, hi] = words(BigInt(index));
        const p = mix(mix(mix(lo ^ a) ^ hi) ^ b);
        const q = mix(mix(word(p + c)) ^ lo);
        const expected = Number(p >> 6n) * 2 ** -26 + Number(q >> 5n) * 2 ** -53;
        assert.equal(priority(seed)(index), expected);
      }
    }
  });
});
