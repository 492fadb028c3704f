import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { silhouette } from '../../model/scores.ts';

interface Sample {
  name: string;
  dim: number;
  rows: number[];
  labels: number[];
  silhouette: number;
}
const values = JSON.parse(readFileSync(new URL('metrics_values.json', import.meta.url), 'utf8'));

const close = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-10, `${actual} is not ${expected}`);

describe('silhouette', () => {
  for (const { name, dim, rows, labels, silhouette: expected } of values.samples as Sample[]) {
    test(`equals scikit-learn's: ${name}`, () =>
      close(silhouette(Float64Array.from(rows), dim, labels), expected));
  }

  test('is not defined with one cluster, or with as many as rows', () => {
    const rows = Float64Array.of(1, 2, 3);
    assert.equal(silhouette(rows, 1, [5, 5, 5]), null);
    assert.equal(silhouette(rows, 1, [0, 1, 2]), null);
    assert.equal(silhouette(new Float64Array(0), 1, []), null);
    assert.throws(() => silhouette(rows, 2, [0, 1, 2]), RangeError);
  });
});
