import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnWatch, movedColumns } from '../../run/trained-model.ts';

// Bill, flipper and mass of penguins, and a column that does not vary.
const trained = { mean: [44, 200, 4200, 1], deviation: [5.5, 14, 800, 0] };
const inOrder = (order: number[]) => ({
  mean: order.map((c) => trained.mean[c]),
  deviation: order.map((c) => trained.deviation[c]),
});

test('columns in another order are told by their means and deviations', () => {
  assert.equal(movedColumns(trained, trained), null);
  assert.deepEqual(
    movedColumns(trained, inOrder([2, 1, 0, 3])),
    new Map([
      [0, 2],
      [2, 0],
    ]),
  );
  assert.deepEqual(movedColumns(trained, inOrder([1, 2, 0, 3]))?.get(2), 0);
});

test('rows that are only different are not', () => {
  const { mean, deviation } = trained;
  assert.equal(movedColumns(trained, { mean: [60, 260, 9000, 1], deviation }), null);
  assert.equal(movedColumns(trained, { mean: [4200, 200, 5, 1], deviation: [800, 14, 1, 0] }), null);
  assert.equal(movedColumns(trained, { mean: mean.map((value) => value * 10), deviation }), null);
  const alike = { mean: Array(50).fill(0), deviation: Array(50).fill(1) };
  assert.equal(movedColumns(alike, { mean: Array(50).fill(1.5), deviation: Array(50).fill(1) }), null);
});

test('rows are counted piece by piece; of a few nothing can be told', () => {
  const rows = Float32Array.from({ length: 400 }, (_, i) => {
    const c = [1, 0, 2, 3][i % 4];
    return trained.mean[c] + trained.deviation[c] * (i % 8 < 4 ? 1 : -1);
  });
  const watch = columnWatch(trained);
  watch.add(rows.subarray(0, 40));
  assert.equal(watch.moved(), null);
  watch.add(rows.subarray(40));
  assert.deepEqual(
    watch.moved(),
    new Map([
      [0, 1],
      [1, 0],
    ]),
  );
});
