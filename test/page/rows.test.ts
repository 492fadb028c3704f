import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Source } from '../../data/source.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { readSample } from '../../page/rows.ts';

test('the sample has rows from all over the data, in the coordinates of the nets', async () => {
  const rows = 50_000;
  const dim = 3;
  const source: Source = {
    ...{ rows, dim, dtype: 'float32', close() {} },
    stored: () => assert.fail('not used'),
    read: async (start, count) =>
      Float32Array.from({ length: count * dim }, (_, i) => (i % dim === 1 ? 5 : start + Math.floor(i / dim))),
  };
  const moments = {
    rows,
    mean: Float64Array.of(25_000, 5, 25_000),
    covariance: Float64Array.of(4, 0, 1, 0, 0, 0, 1, 0, 9),
    min: Float64Array.of(0, 5, 0),
    max: Float64Array.of(rows, 5, rows),
  };
  const { transform } = planTransform('center', moments);
  const sample = await readSample(source, transform);
  assert.deepEqual([sample.numbers.length, sample.dim, sample.rows.length], [20_000, 2, 40_000]);
  // Columns 0 and 2: the same number, over standard deviations of 2 and 3.
  const index = (i: number) => sample.rows[i * 2] * 2 + 25_000;
  assert.deepEqual([index(0), index(19_999)], [0, rows - 1]);
  for (let i = 1; i < sample.numbers.length; i++) assert.ok(index(i) > index(i - 1));
  assert.ok(Math.abs(sample.rows[1] * 3 - sample.rows[0] * 2) < 1e-2);
});
