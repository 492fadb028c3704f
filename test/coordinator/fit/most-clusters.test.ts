import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statisticsLength } from '../../../model/statistics.ts';
import { MAX_MESSAGE } from '../../../proto/task-limits.ts';
import { mostClusters, mostParts, withinLimit } from '../../../tasks/capacity.ts';

describe('the most clusters', () => {
  test('statistics of two parts of each fit in a message, those of one more would not', () => {
    for (const d of [512, 1024, 4096]) {
      const most = mostClusters(d, 'full');
      const bytes = (k: number) => 2 * k * statisticsLength(d, 'full') * 8;
      assert.ok(bytes(most) <= MAX_MESSAGE && bytes(most + 1) > MAX_MESSAGE, `${d}: ${most}`);
      assert.equal(Math.floor(mostParts(d, 'full') / 2), most);
    }
    assert.equal(mostClusters(1024, 'full'), 127);
  });

  test('is no limit in few columns, and never below 1', () => {
    for (const d of [1, 2, 10, 64]) assert.ok(mostClusters(d, 'full') > 20_000);
    assert.equal(mostClusters(100_000, 'full'), 1);
    assert.ok(mostClusters(10_000, 'diag') > 1000);
  });

  test('of too many splits those of largest log H stay', () => {
    const split = (logRatio: number, parts = 2) => ({ logRatio, parts: Array(parts).fill(0) });
    const splits = [split(3), null, split(9, 4), split(5), split(5)];
    assert.deepEqual(withinLimit(splits, 11), splits);
    assert.deepEqual(withinLimit(splits, 10), [null, null, ...splits.slice(2)]);
    assert.deepEqual(withinLimit(splits, 9), [null, null, splits[2], splits[3], null]);
    // A smaller one takes the room that is too small for a larger one.
    assert.deepEqual(withinLimit(splits, 6), [null, null, null, splits[3], null]);
    for (const most of [5, 4, 1]) assert.deepEqual(withinLimit(splits, most), Array(5).fill(null));
  });
});
