import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clusterCount,
  componentOrder,
  componentsOf,
  groupsFrom,
  regrouped,
  rowClusters,
  sumsByCluster,
} from '../../../model/gaussian/components.ts';

test('groups are numbered in the order of their components; none where each component is a cluster', () => {
  assert.deepEqual(groupsFrom([7, 3, 7, 9]), Int32Array.of(0, 1, 0, 2));
  assert.equal(groupsFrom([7, 3, 9]), null);
  const groups = Int32Array.of(0, 1, 0, 2);
  assert.deepEqual([clusterCount(4, groups), clusterCount(4, null)], [3, 4]);
  assert.deepEqual(componentsOf(4, groups), [[0, 2], [1], [3]]);
  assert.deepEqual(componentsOf(2, null), [[0], [1]]);
});

test('sums, and the order by clusters, then by size', () => {
  const groups = Int32Array.of(0, 1, 0, 2);
  const T = [1, 2, 4, 8].map((rows) => Float64Array.of(rows, -rows));
  assert.deepEqual(
    sumsByCluster(T, groups).map(([rows]) => rows),
    [5, 2, 8],
  );
  const order = componentOrder([2, 0, 1], 4, groups, (component) => T[component][0]);
  assert.deepEqual(order, [3, 2, 0, 1]);
  assert.deepEqual(regrouped(groups, order), Int32Array.of(0, 1, 1, 2));
  // Of some of them, each of which is a cluster.
  assert.deepEqual(regrouped(groups, [3, 1]), Int32Array.of(0, 1));
});

test('rows go to the cluster with the largest sum, and are measured from its most likely component', () => {
  const groups = Int32Array.of(0, 1, 0);
  const r = Float32Array.of(0.3, 0.4, 0.3, 0.1, 0.8, 0.1, 0.5, 0.2, 0.3, NaN, NaN, NaN);
  const found = rowClusters(Int32Array.of(1, 1, 0, 2), r, groups);
  assert.deepEqual([...found.labels], [0, 1, 0, 0]);
  assert.deepEqual([...found.components], [0, 1, 0, 2]);
  const expected = [0.6, 0.4, 0.2, 0.8, 0.8, 0.2, 1, 0];
  for (const [i, value] of found.responsibilities.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-6);
});
