import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { accuracy, ari, contingency, contingencyCounter, jaccards, nmi } from '../../model/scores.ts';

interface Labelling {
  name: string;
  pred: number[];
  truth: number[];
  nmi: number;
  ari: number;
  acc: number;
}
const values = JSON.parse(readFileSync(new URL('metrics_values.json', import.meta.url), 'utf8'));

const all = (pred: number[], truth: number[]) => {
  const table = contingency(pred, truth);
  return { nmi: nmi(table), ari: ari(table), acc: accuracy(table) };
};
const close = (actual: number, expected: number, what: string) =>
  assert.ok(Math.abs(actual - expected) < 1e-10, `${what}: ${actual} is not ${expected}`);

describe('metrics', () => {
  for (const { name, pred, truth, ...expected } of values.labellings as Labelling[]) {
    test(`equal scikit-learn's: ${name}`, () => {
      const actual = all(pred, truth);
      for (const metric of ['nmi', 'ari', 'acc'] as const) close(actual[metric], expected[metric], metric);
    });
  }

  test('stay exact with 20,000,000 rows, added in batches', () => {
    const counter = contingencyCounter();
    const n = 1_000_000;
    const truth = Int32Array.from({ length: n }, (_, i) => i % 50);
    const pred = truth.map((t, i) => (i % 100 < 50 ? t : (t + 1) % 50));
    for (let piece = 0; piece < 20; piece++) counter.add(pred, truth);
    const table = counter.table();
    assert.deepEqual([table.rows, table.clusters, table.classes], [20 * n, 50, 50]);
    assert.equal(accuracy(table), 0.5);
    close(nmi(table), (Math.log(50) - Math.log(2)) / Math.log(50), 'nmi');
    const pairs = (m: number) => (m * (m - 1)) / 2;
    const [one, half, every] = [pairs(400_000), pairs(200_000), pairs(20 * n)];
    const expected = (50 * one) ** 2 / every;
    close(ari(table), (100 * half - expected) / (50 * one - expected), 'ari');
  });
});

describe('contingency', () => {
  test('leaves out codes that do not occur', () => {
    const table = contingency([4, 4, 0], [7, 0, 7]);
    assert.deepEqual(table, {
      rows: 3,
      clusters: 2,
      classes: 2,
      counts: [Float64Array.of(0, 1), Float64Array.of(1, 1)],
    });
  });

  test('no rows: all scores are 1', () => {
    assert.deepEqual(all([], []), { nmi: 1, ari: 1, acc: 1 });
  });

  test('rejects values that are not codes', () => {
    assert.throws(() => contingency([0, 1], [0]), RangeError);
    for (const code of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => contingency([code], [0]), RangeError);
  });
});

test('Jaccard coefficients: of a cluster that came back, one in two, one that is a part of another, one without rows', () => {
  const labels = Int32Array.of(0, 0, 0, 1, 1, 1, 1, 2);
  const others = Int32Array.of(3, 3, 3, 0, 0, 0, 1, 1);
  assert.deepEqual(jaccards(labels, others, 4), [1, 3 / 4, 1 / 2, null]);
});
