import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { halfOf, halfSize } from '../../model/layout.ts';

describe('halves of a sample', () => {
  test('half of the rows, ascending, each once', () => {
    for (const n of [0, 1, 2, 3, 10, 1001]) {
      const half = halfOf(7n, 1, 3, n);
      assert.equal(half.length, halfSize(n));
      assert.equal(half.length, Math.ceil(n / 2));
      for (const [i, place] of half.entries()) assert.ok(place < n && (i === 0 || place > half[i - 1]));
    }
  });

  test('others for each replicate, shard and seed', () => {
    const halves = [
      halfOf(7n, 1, 0, 500),
      halfOf(7n, 2, 0, 500),
      halfOf(7n, 1, 1, 500),
      halfOf(8n, 1, 0, 500),
    ];
    assert.equal(new Set(halves.map(String)).size, 4);
    assert.deepEqual(halfOf(7n, 2, 0, 500), halves[1]);
    // Two halves share half of their rows on average.
    const shared = halves[0].filter((place) => halves[1].includes(place)).length;
    assert.ok(shared > 95 && shared < 155, `${shared} of 250`);
  });
});
