import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { silhouette } from '../../model/scores.ts';
import { forAll } from './support.ts';

interface Sample {
  name: string;
  dim: number;
  rows: number[];
  labels: number[];
  silhouette: number;
}
const values = JSON.parse(readFileSync(new URL('metrics_values.json', import.meta.url), 'utf8'));

/** The definition, row by row. */
function byDefinition(points: number[][], labels: number[]): number {
  const mean = (x: number[]) => x.reduce((a, b) => a + b, 0) / x.length;
  const clusters = [...new Set(labels)];
  const scores = points.map((point, i) => {
    const to = (k: number) =>
      points
        .filter((_, j) => labels[j] === k && j !== i)
        .map((other) => Math.hypot(...point.map((x, d) => x - other[d])));
    const own = to(labels[i]);
    if (!own.length) return 0;
    const a = mean(own);
    const b = Math.min(...clusters.filter((k) => k !== labels[i]).map((k) => mean(to(k))));
    return a === b ? 0 : (b - a) / Math.max(a, b);
  });
  return mean(scores);
}

const close = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual - expected) < 1e-10, `${actual} is not ${expected}`);

describe('silhouette', () => {
  for (const { name, dim, rows, labels, silhouette: expected } of values.samples as Sample[]) {
    test(`equals scikit-learn's: ${name}`, () =>
      close(silhouette(Float64Array.from(rows), dim, labels), expected));
  }

  test('equals its definition, is bounded and independent of names and order', () => {
    const row = fc.tuple(
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 2, maxLength: 2 }),
      fc.nat(4),
    );
    forAll([fc.array(row, { minLength: 2, maxLength: 25 })], (rows) => {
      const points = rows.map(([x]) => x);
      const labels = rows.map(([, label]) => label);
      const actual = silhouette(Float64Array.from(points.flat()), 2, labels);
      const clusters = new Set(labels).size;
      if (clusters < 2 || clusters === rows.length) {
        assert.equal(actual, null);
        return;
      }
      close(actual, byDefinition(points, labels));
      assert.ok(Math.abs(actual!) <= 1);
      const renamed = labels.map((label) => 100 - 7 * label);
      close(silhouette(Float64Array.from(points.toReversed().flat()), 2, renamed.toReversed()), actual!);
    });
  });

  test('is not defined with one cluster, or with as many as rows', () => {
    const rows = Float64Array.of(1, 2, 3);
    assert.equal(silhouette(rows, 1, [5, 5, 5]), null);
    assert.equal(silhouette(rows, 1, [0, 1, 2]), null);
    assert.equal(silhouette(new Float64Array(0), 1, []), null);
    assert.throws(() => silhouette(rows, 2, [0, 1, 2]), RangeError);
  });
});
