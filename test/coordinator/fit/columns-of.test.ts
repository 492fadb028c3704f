import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf } from '../../../coordinator/fit/preparation/likelihood.ts';

test('columns of unlike units are divided by their standard deviations, pixels never', () => {
  const ranges = [0, 1, 2, 200, 240, 250, 255];
  const moments = {
    rows: 100,
    mean: new Float64Array(7),
    covariance: Float64Array.from(ranges, (range) => (range / 4) ** 2),
    min: new Float64Array(7),
    max: Float64Array.from(ranges),
  };
  const found = columnsOf(moments);
  assert.equal(found.scaled, '1 to 255');
  assert.deepEqual(
    [...found.columns.factor.slice(1)],
    ranges.slice(1).map((range) => 4 / range),
  );
  const pixels = columnsOf(moments, true);
  assert.equal(pixels.scaled, null);
  assert.ok(pixels.columns.factor.every((factor) => factor === 1));
  assert.deepEqual(pixels.kept, [1, 2, 3, 4, 5, 6]);
});
