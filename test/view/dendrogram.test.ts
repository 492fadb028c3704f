import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupName, treeLayout } from '../../view/dendrogram.ts';
import { heightScale } from '../../view/scales.ts';

test('places of joins: the larger branch above, each in the middle of its two', () => {
  const { leaves, branches } = treeLayout({
    sizes: [50, 40, 30, 20],
    joins: [
      { a: 2, b: 3, height: 0.1 },
      { a: 1, b: 4, height: 0.2 },
      { a: 0, b: 5, height: 0.4 },
    ],
  });
  // 30 + 20 rows are above 40, and 90 above 50.
  assert.deepEqual(
    leaves.map(({ from }) => from),
    [[2], [3], [1], [0]],
  );
  assert.deepEqual(branches[0], {
    at: { height: 0.1, y: 1, first: 2 },
    ends: [
      { height: null, y: 0.5, first: 2 },
      { height: null, y: 1.5, first: 3 },
    ],
    left: 3,
  });
  assert.deepEqual(
    branches.map(({ at, left }) => [at.height, at.y, at.first, left]),
    [
      [0.1, 1, 2, 3],
      [0.2, 1.75, 1, 2],
      [0.4, 2.625, 0, 1],
    ],
  );
  assert.equal(branches[2].ends[1], branches[1].at);
});

test('of more than 60 clusters the last 59 joins are shown, of groups', () => {
  const k = 500;
  const sizes = Array.from({ length: k }, (_, c) => k - c);
  const joins = sizes.slice(1).map((_, i) => ({ a: i ? i + 1 : 0, b: i ? k + i - 1 : 1, height: i }));
  const { leaves, branches } = treeLayout({ sizes, joins });
  assert.deepEqual([leaves.length, branches.length], [60, 59]);
  assert.deepEqual(
    branches.map(({ left }) => left),
    Array.from({ length: 59 }, (_, i) => 59 - i),
  );
  const { from, rows } = leaves[0];
  assert.equal(from.length, k - 59);
  assert.equal(rows, (441 * (500 + 60)) / 2);
  assert.equal(groupName({ from }), '0, 1, … (441)');
});

test('a height of 0 stays 0', () => {
  const heights = (...all: number[]) =>
    treeLayout({
      sizes: [3, 2, 1],
      joins: all.map((height, i) => (i ? { a: 2, b: 3, height } : { a: 0, b: 1, height })),
    }).branches.map(({ at }) => at.height);
  assert.deepEqual(heights(0.4, 0), [0.4, 0]);
  assert.deepEqual(heights(0, 0), [0, 0]);
});

test('a height of 0 is at 0 of the axis, and apart from the others on a logarithmic one', () => {
  const linear = heightScale([0.8, 0.04, 0], [10, 110]);
  assert.equal(linear(0), 10);
  assert.ok(linear(0.04) > 12);
  const log = heightScale([8, 0.04, 0], [10, 110]);
  assert.equal(log(0), 10);
  assert.ok(log(0.04) >= 22 && log(0.04) < log(8) && log(8) <= 110);
  assert.deepEqual(log.ticks(), [0, 0.01, 0.1, 1, 10]);
  assert.deepEqual(log.ticks().map(log.tickFormat()), ['0', '0.01', '0.1', '1', '10']);
  const below = heightScale([-1, 0, 90], [0, 91]);
  assert.ok(below(-1) < below(0));
});

test('a single cluster has no joins', () =>
  assert.deepEqual(treeLayout({ sizes: [9], joins: [] }), {
    leaves: [{ rows: 9, from: [0], height: null }],
    branches: [],
  }));

test('names of groups', () => {
  assert.equal(groupName({ from: [3] }), '3');
  assert.equal(groupName({ from: [3, 7] }), '3, 7 (2)');
  assert.equal(groupName({ from: [3, 7, 9] }), '3, 7, … (3)');
});
