import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterUpdate } from '../../../model/stream/lineage.ts';
import type { Stream } from '../../../model/stream/stream.ts';

const T = new Float64Array(1);
const stream: Stream = {
  ...{ updates: 4, parts: [], seen: 90, weight: 40, ids: [1, 2], next: 6, most: 100 },
  peaks: [1, 2].map((id) => ({ weight: 10 * id, T })),
  gone: [
    { id: 0, since: 2, T },
    { id: 3, since: 5, T },
    { id: 4, since: 5, T },
  ],
  ...{ keys: new Float64Array(3), labels: Int32Array.of(1, 2, -1), drift: null, alarm: null },
  ...{ since: Int32Array.of(0, 3, 5), looked: [3, 4] },
  history: [{ update: 4, rows: 90, sizes: { 1: 50, 2: 40 }, lineage: [] }],
  covariance: new Float64Array(1),
};

test('what became of clusters: gone before training, or after; one that returns at once was never away', () => {
  const named = {
    ...{ ids: [2, 0, 3], next: 6 },
    lineage: [
      { what: 'returned' as const, id: 0 },
      { what: 'returned' as const, id: 3 },
      { what: 'gone' as const, id: 1 },
    ],
  };
  const found = { labels: [0, 1, 2], T: [T, T, T], weights: [30, 8, 2], clusters: null };
  const { stream: after, lineage } = afterUpdate(stream, named, found, {
    unchanged: [true, true],
    isSettled: true,
  });
  assert.deepEqual(lineage, [
    { what: 'gone', id: 4 },
    { what: 'returned', id: 0 },
    { what: 'gone', id: 1 },
  ]);
  assert.deepEqual(after.history, [
    stream.history[0],
    { update: 5, rows: 40, sizes: { 2: 30, 0: 8, 3: 2 }, lineage },
  ]);
  // Only clusters that stay, and have not changed, were not searched.
  assert.deepEqual(after.looked, [4, 5, 5]);
  assert.deepEqual([after.updates, after.ids, [...after.labels]], [5, [2, 0, 3], [2, 0, 3]]);
  assert.deepEqual(
    after.gone.map(({ id, since }) => [id, since]),
    [
      [4, 5],
      [1, 5],
    ],
  );
});
