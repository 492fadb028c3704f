import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dependentColumns } from '../../model/dependent-columns.ts';
import { normals } from './support.ts';

const N = 200;
/** Covariance [d,d] of columns of N rows. */
function covarianceOf(columns: number[][]): Float64Array {
  const centred = columns.map((column) => {
    const mean = column.reduce((a, b) => a + b, 0) / N;
    return column.map((value) => value - mean);
  });
  return Float64Array.from(
    centred.flatMap((a) => centred.map((b) => a.reduce((sum, value, i) => sum + value * b[i], 0) / N)),
  );
}
const normal = normals(1);
const column = () => Array.from({ length: N }, normal);
const [a, b, c] = [column(), column(), column()];
const { fround } = Math;
const found = (columns: number[][], given: number[] = [], continuous = [...columns.keys()]) =>
  dependentColumns(covarianceOf(columns), columns.length, {
    ...{ given, continuous },
    free: [...columns.keys()].filter((i) => !given.includes(i)),
  });

describe('columns that follow from others', () => {
  test('are named with those that they follow from, also as float32 rounds them', () => {
    const sum = a.map((value, i) => fround(fround(value) + 3 * fround(c[i])));
    assert.deepEqual(found([a, b, c, sum].map((values) => values.map(fround))), [{ column: 3, on: [0, 2] }]);
    assert.deepEqual(found([a, b, a.map((value) => -2 * value), b]), [
      { column: 2, on: [0] },
      { column: 3, on: [1] },
    ]);
  });

  test('are none where a thousandth of the variance is their own', () => {
    assert.deepEqual(found([a, b, a.map((value, i) => value + b[i] + 0.03 * c[i])]), []);
  });

  test('of which some are given, these stay', () => {
    assert.deepEqual(found([a, b, a], [2], [0, 1]), [{ column: 0, on: [2] }]);
    assert.deepEqual(found([a, a, b], [0, 1], [2]), []);
  });

  test('what is left has full rank, where rounding adds up', () => {
    // Each follows from those before it but for so little that a few of them together have no rank.
    const chain = [a];
    for (let i = 1; i < 12; i++)
      chain.push(chain[i - 1].map((value, row) => value + 1e-5 * (i % 2 ? b : c)[row]));
    const dependent = found(chain);
    assert.ok(dependent.length >= 9 && dependent.length <= 10, `${dependent.length}`);
  });
});
