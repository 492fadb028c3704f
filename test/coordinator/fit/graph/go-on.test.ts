import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { unitsOf } from '../../../../coordinator/fit/graph/graph.ts';

/** Units, and labels by their numbers, of clusters `now` that come from units `before`. */
const found = (before: number[], now: number[], k: number) => {
  const { units, labels } = unitsOf(Int32Array.from(before), Int32Array.from(now), k);
  return {
    units: units.map(({ from, share, fresh }) => `${from} ${share}${fresh ? ' fresh' : ''}`),
    labels: [...labels],
  };
};

describe('output units of a partition that went on', () => {
  test('are those before, in their order, where rows have moved only; those without rows go', () => {
    assert.deepEqual(found([0, 0, 0, 2, 2, 2, 2], [1, 1, 0, 0, 0, 0, 0], 3), {
      units: ['0 1', '2 1'],
      labels: [0, 0, 1, 1, 1, 1, 1],
    });
  });

  test('of a cluster that was cut have its unit, by their rows; of two that joined that of the larger', () => {
    assert.deepEqual(found([0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 1, 1], 2), {
      units: ['0 0.75 fresh', '0 0.25 fresh', '1 1'],
      labels: [0, 0, 0, 1, 2, 2],
    });
    assert.deepEqual(found([0, 0, 1, 1, 1, 2], [0, 0, 0, 0, 0, 1], 3), {
      units: ['1 1 fresh', '2 1'],
      labels: [0, 0, 0, 0, 0, 1],
    });
  });

  test('are fresh where a cluster is no heir of the one that it has most rows of', () => {
    // Most rows of unit 0 are among those of unit 1.
    assert.deepEqual(found([0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1, 1], 2), {
      units: ['0 1 fresh', '1 1 fresh'],
      labels: [0, 0, 1, 1, 1, 1, 1, 1, 1],
    });
  });
});
