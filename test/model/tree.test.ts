import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Floats, fold, isAligned, type PartialSum, treeAccumulator, treeSum } from '../../model/tree.ts';
import { randomNumbers } from '../coordinator/fit/support.ts';
import { forAll } from './support.ts';

/** The tree by its recursive definition: a node of 2^h shards adds the sums of its left half and of its right half, if any. */
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
  test('equals the fixed binary tree over shards, bit for bit', () => {
    forAll([shards], 300, (parts) => {
      const expected = parts[0].map((_, j) => treeOf(parts.map((part) => part[j])));
      assert.deepEqual(treeSum(parts), Float64Array.from(expected));
    });
  });
});

describe('treeAccumulator', () => {
  test('gives the bits of the tree, in whatever order the leaves arrive', () => {
    forAll([shards, fc.integer()], 300, (parts, seed) => {
      const { normal } = randomNumbers(seed);
      const accumulator = treeAccumulator();
      const arrivals = [...parts.keys()].map((leaf) => ({ leaf, at: normal() }));
      for (const { leaf } of arrivals.sort((a, b) => a.at - b.at))
        accumulator.add({ from: leaf, to: leaf + 1, sums: { a: Float64Array.from(parts[leaf]) } });
      const places: Floats[] = [];
      for (const { from, sums } of accumulator.nodes()) places[from] = sums.a;
      assert.deepEqual(treeSum(places), treeSum(parts));
    });
  });
});

describe('fold', () => {
  const leaf = (i: number, values: number[]): PartialSum => ({
    from: i,
    to: i + 1,
    sums: { a: Float64Array.from(values), b: Float64Array.of(-values[0]) },
  });

  test('aligned ranges are the nodes of a binary tree', () => {
    for (const [from, to] of [
      [0, 1],
      [5, 6],
      [4, 6],
      [4, 8],
      [0, 8],
      [12, 16],
    ])
      assert.ok(isAligned(from, to));
    for (const [from, to] of [
      [1, 3],
      [0, 3],
      [2, 6],
      [0, 0],
      [3, 2],
      [0, 6],
    ])
      assert.ok(!isAligned(from, to));
  });

  test('any assignment of shards to workers gives the bits of the tree', () => {
    forAll([shards, fc.integer({ min: 1, max: 5 }), fc.integer()], 500, (parts, workers, seed) => {
      const { below } = randomNumbers(seed);
      const owners = parts.map(() => below(workers));
      const nodes = Array.from({ length: workers }, (_, worker) => {
        const stack: PartialSum[] = [];
        parts.forEach((values, i) => {
          if (owners[i] === worker) fold(stack, leaf(i, values));
        });
        return stack;
      }).flat();
      for (const { from, to } of nodes) assert.ok(isAligned(from, to));
      const places: Floats[] = [];
      for (const { from, sums } of nodes) places[from] = sums.a;
      assert.deepEqual(treeSum(places), treeSum(parts));
    });
  });

  test('sums of float32 arrays are rounded at each node, whoever adds', async () => {
    const parts = Array.from({ length: 8 }, (_, i) =>
      Float32Array.of(2 ** 24, 1, 0.1).map((v) => v * (i + 1)),
    );
    const rounded = (a: Float32Array, b: Float32Array) => a.map((v, j) => v + b[j]);
    const pairs = [0, 2, 4, 6].map((i) => rounded(parts[i], parts[i + 1]));
    const expected = rounded(rounded(pairs[0], pairs[1]), rounded(pairs[2], pairs[3]));
    assert.deepEqual(treeSum<Float32Array>(parts, Float32Array), expected);
    for (const cut of [1, 3, 4, 6]) {
      const stacks: PartialSum[][] = [[], []];
      parts.forEach((values, i) => {
        fold(stacks[Number(i >= cut)], { from: i, to: i + 1, sums: { a: values.slice() } });
      });
      const places: Floats[] = [];
      for (const { from, sums } of stacks.flat()) places[from] = sums.a;
      assert.deepEqual(treeSum<Float32Array>(places, Float32Array), expected);
    }
  });
});
