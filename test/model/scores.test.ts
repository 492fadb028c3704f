import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { accuracy, ari, contingency, contingencyCounter, nmi, nmiOfLabels } from '../../model/scores.ts';
import { forAll } from './support.ts';

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

/** NMI as (H(p) + H(t) − H(p, t)) over the mean entropy. */
function nmiByEntropies(pred: number[], truth: number[]): number {
  const entropy = (codes: unknown[]) => {
    const sizes = new Map<unknown, number>();
    for (const code of codes) sizes.set(code, (sizes.get(code) ?? 0) + 1);
    return [...sizes.values()].reduce((h, n) => h - (n / codes.length) * Math.log(n / codes.length), 0);
  };
  const [h, g] = [entropy(pred), entropy(truth)];
  return h + g === 0 ? 1 : (h + g - entropy(pred.map((p, i) => `${p},${truth[i]}`))) / ((h + g) / 2);
}

/** ARI by enumerating all pairs of rows. */
function ariByPairs(pred: number[], truth: number[]): number {
  const count = [0, 0, 0, 0];
  for (let i = 0; i < pred.length; i++)
    for (let j = 0; j < i; j++) count[2 * Number(pred[i] === pred[j]) + Number(truth[i] === truth[j])]++;
  const [neither, onlyTruth, onlyPred, both] = count;
  if (onlyTruth + onlyPred === 0) return 1;
  return (
    (2 * (both * neither - onlyTruth * onlyPred)) /
    ((both + onlyTruth) * (onlyTruth + neither) + (both + onlyPred) * (onlyPred + neither))
  );
}

/** Accuracy by enumerating all matchings of clusters to classes (a class may stay unmatched). */
function accuracyByTrial(pred: number[], truth: number[]): number {
  const clusters = [...new Set(pred)];
  const best = (next: number, classes: number[]): number => {
    if (next === clusters.length) return 0;
    const hits = (t: number) => pred.filter((p, i) => p === clusters[next] && truth[i] === t).length;
    return Math.max(
      best(next + 1, classes),
      ...classes.map(
        (t) =>
          hits(t) +
          best(
            next + 1,
            classes.filter((other) => other !== t),
          ),
      ),
    );
  };
  return best(0, [...new Set(truth)]) / pred.length;
}

const labels = (codes: number, options: object) => fc.array(fc.nat(codes - 1), options);
const twoLabellings = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40 }))
  .chain(([p, t, n]) => {
    const length = { minLength: n, maxLength: n };
    return fc.tuple(labels(p, length), labels(t, length));
  });

describe('metrics', () => {
  for (const { name, pred, truth, ...expected } of values.labellings as Labelling[]) {
    test(`equal scikit-learn's: ${name}`, () => {
      const actual = all(pred, truth);
      for (const metric of ['nmi', 'ari', 'acc'] as const) close(actual[metric], expected[metric], metric);
    });
  }

  test('equal their brute-force definitions', () => {
    forAll([twoLabellings], 300, ([pred, truth]) => {
      const actual = all(pred, truth);
      close(actual.nmi, nmiByEntropies(pred, truth), 'nmi');
      assert.equal(nmiOfLabels(Int32Array.from(pred), Int32Array.from(truth)), actual.nmi);
      close(actual.ari, ariByPairs(pred, truth), 'ari');
      close(actual.acc, accuracyByTrial(pred, truth), 'acc');
    });
  });

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
