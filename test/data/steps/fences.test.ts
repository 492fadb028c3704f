import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  boundsFrom,
  countFlags,
  moveOutliers,
  type OutlierBounds,
  outliersIn,
  savedBounds,
} from '../../../data/steps/fences.ts';

/** Limits on columns 0 and 2 of three. */
const FENCES: OutlierBounds = {
  columns: Int32Array.of(0, 2),
  low: Float32Array.of(-10, 90),
  high: Float32Array.of(10, Math.fround(110.1)),
  least: Float32Array.of(-1, 99),
  most: Float32Array.of(1, 101),
};

describe('fences', () => {
  const rows = () => Float32Array.of(...[0, 1e9, 100], ...[10, 0, 90], ...[11, 5, 100.5], ...[-9, 5, -1e18]);

  test('a row beyond any of them is an outlier', () => {
    assert.deepEqual([...outliersIn(rows(), 3, FENCES)], [0, 0, 1, 1]);
    assert.equal(countFlags(outliersIn(rows(), 3, FENCES)), 2);
  });

  test('outliers are moved to the edge of the sample, and others stay', () => {
    const moved = rows();
    assert.deepEqual([...moveOutliers(moved, 3, FENCES)], [0, 0, 1, 1]);
    assert.deepEqual([...moved], [...rows().subarray(0, 6), ...[1, 5, 100.5], ...[-1, 5, 99]]);
  });

  test('are read back from JSON as they were', () => {
    assert.deepEqual(boundsFrom(JSON.parse(JSON.stringify(savedBounds(FENCES)))), FENCES);
    assert.equal(boundsFrom([]), null);
  });
});
