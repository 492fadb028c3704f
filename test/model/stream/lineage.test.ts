import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { namedClusters } from '../../../model/stream/lineage.ts';

/** Ids before and clusters now of rows, of which there are so many of each pair. */
function rowsOf(pairs: readonly (readonly [was: number, now: number, rows: number])[]) {
  const each = (of: 0 | 1) => Int32Array.from(pairs.flatMap((pair) => Array<number>(pair[2]).fill(pair[of])));
  return [each(0), each(1)] as const;
}

describe('ids of clusters', () => {
  test('stay with the rows, whatever the numbers of clusters', () => {
    const [was, now] = rowsOf([
      [4, 1, 100],
      [7, 0, 80],
      [4, 0, 3],
      [-1, 1, 50],
    ]);
    assert.deepEqual(namedClusters([4, 7], was, now, 2, 8), { ids: [7, 4], next: 8, lineage: [] });
  });

  test('one of new rows is born, one of rows that were in another is split from it: neither id was given before', () => {
    const [was, now] = rowsOf([
      [0, 0, 60],
      [0, 1, 40],
      [1, 2, 90],
      [-1, 3, 30],
      [1, 3, 4],
    ]);
    assert.deepEqual(namedClusters([0, 1], was, now, 4, 5), {
      ids: [0, 5, 1, 6],
      next: 7,
      lineage: [
        { what: 'split', id: 5, from: [0] },
        { what: 'born', id: 6 },
      ],
    });
  });

  test('one of new rows may be one that was gone, under its id; one of earlier rows may not', () => {
    const [was, now] = rowsOf([
      [0, 0, 60],
      [0, 1, 40],
      [-1, 2, 30],
      [-1, 3, 20],
    ]);
    const { ids, next, lineage } = namedClusters([0], was, now, 4, 9, () => 4);
    assert.deepEqual([ids, next], [[0, 9, 4, 10], 11]);
    assert.deepEqual(
      lineage.map(({ what }) => what),
      ['split', 'returned', 'born'],
    );
  });

  test('of two that join the one with most rows goes on; one whose rows are scattered is gone', () => {
    const [was, now] = rowsOf([
      [0, 0, 50],
      [1, 0, 70],
      [2, 1, 100],
      [3, 0, 2],
      [3, 1, 2],
    ]);
    assert.deepEqual(namedClusters([0, 1, 2, 3], was, now, 2, 4), {
      ids: [1, 2],
      next: 4,
      lineage: [
        { what: 'merged', id: 0, into: [1] },
        { what: 'gone', id: 3 },
      ],
    });
  });

  test('one that keeps less than a third of its rows is another one', () => {
    const [was, now] = rowsOf([
      [0, 0, 30],
      [0, 1, 30],
      [0, 2, 30],
      [0, 3, 10],
      [-1, 3, 100],
    ]);
    const { ids, lineage } = namedClusters([0], was, now, 4, 1);
    assert.deepEqual(ids.filter((id) => id === 0).length, 0);
    assert.deepEqual(lineage.at(-1), { what: 'merged', id: 0, into: [2, 3, 4] });
    assert.deepEqual(lineage[0], { what: 'born', id: 1 });
  });
});
