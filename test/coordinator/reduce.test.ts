import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { treeSum, weightedMean } from '../../coordinator/reduce.ts';
import { randomNumbers } from './support.ts';

/** The tree as it is drawn: a node of 2^h shards adds the left half's sum and the right half's, if there is one. */
function treeOf(parts: number[], from = 0, width = 2 ** Math.ceil(Math.log2(parts.length))): number {
  if (width === 1) return parts[from];
  const left = treeOf(parts, from, width / 2);
  const right = from + width / 2;
  return right < parts.length ? left + treeOf(parts, right, width / 2) : left;
}

const numbers = (count: number) =>
  fc.array(fc.double({ noNaN: true, min: -1e12, max: 1e12 }), { minLength: count, maxLength: count });
const shards = fc
  .record({ shards: fc.integer({ min: 1, max: 19 }), length: fc.integer({ min: 0, max: 4 }) })
  .chain(({ shards, length }) => fc.array(numbers(length), { minLength: shards, maxLength: shards }));

describe('treeSum', () => {
  test('is the fixed binary tree over shards, to the bit', () => {
    fc.assert(
      fc.property(shards, (parts) => {
        const expected = parts[0].map((_, j) => treeOf(parts.map((part) => part[j])));
        assert.deepEqual(treeSum(parts), Float64Array.from(expected));
      }),
      { numRuns: 300 },
    );
  });

  test('differs from a plain sum where rounding tells, so the order is what is tested', () => {
    const parts = [[1], [2 ** 53], [1], [-(2 ** 53)]];
    const plain = parts.reduce((sum, [value]) => sum + value, 0);
    assert.deepEqual([treeSum(parts)[0], plain], [1, 0]);
  });

  test('adds whatever array in float64, and leaves its input as it was', () => {
    const parts = [Float32Array.of(0.1), Uint32Array.of(2 ** 32 - 1), Float32Array.of(0.2)];
    assert.equal(treeSum(parts)[0], Math.fround(0.1) + (2 ** 32 - 1) + Math.fround(0.2));
    assert.deepEqual(parts[0], Float32Array.of(0.1));
    const whole = [Float64Array.of(1), Float64Array.of(2)];
    treeSum(whole);
    assert.deepEqual(whole, [Float64Array.of(1), Float64Array.of(2)]);
  });

  test('an aligned subtree, summed by itself, changes no bit', () => {
    const { normal } = randomNumbers(1);
    const parts = Array.from({ length: 13 }, () => [normal() * 1e10, normal()]);
    const relayed = [treeSum(parts.slice(0, 8)), treeSum(parts.slice(8))];
    assert.deepEqual(treeSum(relayed), treeSum(parts));
    const four = [0, 4, 8, 12].map((start) => treeSum(parts.slice(start, start + 4)));
    assert.deepEqual(treeSum(four), treeSum(parts));
  });

  test('depends on shards alone, not on who computed them when', () => {
    const { normal, below } = randomNumbers(2);
    const values = Array.from({ length: 8 }, () => [normal() * 10 ** below(12)]);
    const expected = treeSum(values);
    for (let trial = 0; trial < 50; trial++) {
      // Results come in any order and are put in their shard's place.
      const arrivals = [...values.keys()].sort(() => normal());
      const places: number[][] = [];
      for (const shard of arrivals) places[shard] = values[shard];
      assert.deepEqual(treeSum(places), expected);
    }
  });
});

describe('weightedMean', () => {
  test('is Σ w·part / Σ w of each stretch by the same tree, rounded once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer(),
        (shards, stretches, size, seed) => {
          const { normal, below } = randomNumbers(seed);
          const parts = Array.from({ length: shards }, () =>
            Float32Array.from({ length: stretches * size }, normal),
          );
          const weights = Array.from({ length: shards }, () =>
            Array.from({ length: stretches }, () => below(4)),
          );
          const before = Float32Array.from({ length: stretches * size }, normal);
          const expected = before.map((value, j) => {
            const c = Math.floor(j / size);
            const total = treeOf(weights.map((own) => own[c]));
            return total > 0 ? treeOf(parts.map((part, s) => (weights[s][c] / total) * part[j])) : value;
          });
          assert.deepEqual(weightedMean(parts, weights, before), expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('a shard of weight zero adds nothing, not even its NaN', () => {
    const parts = [Float32Array.of(1, 2), Float32Array.of(Number.NaN, Infinity), Float32Array.of(3, 6)];
    const found = weightedMean(parts, [[1], [0], [3]], Float32Array.of(0, 0));
    assert.deepEqual(found, Float32Array.of(2.5, 5));
  });

  test('a stretch that no shard gives weight stays as it was', () => {
    const parts = [Float32Array.of(1, 2, 5, 5), Float32Array.of(3, 4, 5, 5)];
    const weights = [
      [1, 0],
      [1, 0],
    ];
    assert.deepEqual(weightedMean(parts, weights, Float32Array.of(9, 9, 7, 8)), Float32Array.of(2, 3, 7, 8));
  });

  test('equal parts give the same part back, whatever the weights', () => {
    const part = Float32Array.of(0.1, -3.7, 1e-20);
    assert.deepEqual(weightedMean([part, part, part, part], [[1], [1], [1], [1]], part), part);
    assert.deepEqual(weightedMean([part], [[17]], part), part);
  });
});
