import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cutAt, type Dendrogram } from '../../../model/hierarchy/dendrogram.ts';

/** Clusters 1 and 3 join first, then 0 and 2, then these two, then cluster 4. */
const tree: Dendrogram = {
  sizes: [50, 40, 30, 20, 5],
  joins: [
    { a: 1, b: 3, height: 0.1 },
    { a: 0, b: 2, height: 0.2 },
    { a: 5, b: 6, height: 0.2 },
    { a: 4, b: 7, height: 0.7 },
  ],
};

describe('a cut', () => {
  test('in between has as many as it is to have, numbered by size', () => {
    // 1 and 3 have 60 rows together, more than cluster 0.
    assert.deepEqual(cutAt(tree, 4), {
      groups: [
        { node: 5, rows: 60, from: [1, 3], height: 0.1 },
        { node: 0, rows: 50, from: [0], height: null },
        { node: 2, rows: 30, from: [2], height: null },
        { node: 4, rows: 5, from: [4], height: null },
      ],
      place: Int32Array.of(1, 0, 2, 0, 3),
    });
    assert.deepEqual([...cutAt(tree, 3).place], [0, 1, 0, 1, 2]);
    assert.deepEqual([...cutAt(tree, 2).place], [0, 0, 0, 0, 1]);
  });

  test('numbers groups of equal size by their lowest cluster', () => {
    const even = { sizes: [20, 10, 10, 10], joins: [{ a: 2, b: 3, height: 1 }] };
    assert.deepEqual([...cutAt(even, 3).place], [0, 2, 1, 1]);
  });

  test('at 0, above K or at a fraction is an error', () => {
    for (const count of [0, 6, 2.5, Number.NaN]) assert.throws(() => cutAt(tree, count), RangeError);
  });
});
