import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { termCounter } from '../../../model/words/term-counts.ts';
import { type MergedTerms, termMerger } from '../../../model/words/term-table.ts';
import { inSteps } from './support.ts';

interface Text {
  cluster: number;
  text: string;
}

function counted(texts: Text[], k: number, stopWords: string[] = [], most?: number) {
  const counter = termCounter(k, new Set(stopWords), most);
  for (const { cluster, text } of texts.toSorted((a, b) => a.cluster - b.cluster)) counter.add(cluster, text);
  return inSteps(counter.table());
}

/** By term and cluster. */
const asObject = ({ terms, lists, cluster, count }: MergedTerms) =>
  Object.fromEntries(
    terms.map((term, t) => [
      term,
      Object.fromEntries([...cluster.slice(lists[t], lists[t + 1])].map((c, i) => [c, count[lists[t] + i]])),
    ]),
  );

test('words and pairs are counted by cluster, pairs without the stop words between', () => {
  const table = counted(
    [
      { cluster: 1, text: 'Red wine and red cheese' },
      { cluster: 0, text: 'red wine' },
      { cluster: 0, text: '' },
    ],
    3,
    ['and'],
  );
  const merger = termMerger(3);
  merger.add(table);
  const merged = merger.result();
  assert.deepEqual(asObject(merged), {
    red: { 0: 1, 1: 2 },
    wine: { 0: 1, 1: 1 },
    and: { 1: 1 },
    cheese: { 1: 1 },
    'red wine': { 0: 1, 1: 1 },
    'wine red': { 1: 1 },
    'red cheese': { 1: 1 },
  });
  assert.deepEqual([...merged.documents], [2, 2, 1, 1, 2, 1, 1]);
  // Four words and three pairs.
  assert.deepEqual([...merged.totals], [3, 7, 0]);
  assert.equal(merged.error, 0);
});

/** Texts of words with frequencies like those of a language, of which many come once. */
function randomTexts(n: number, k: number): Text[] {
  const { uniform: rng } = generator(1n, 'texts');
  return Array.from({ length: n }, (_, i) => ({
    cluster: Math.floor(rng() * k),
    text: `${Array.from({ length: 8 }, () => `w${Math.floor(rng() ** 4 * 5000)}`).join(' ')} once${i}`,
  }));
}

test('tables of parts have the counts of all texts', () => {
  const texts = randomTexts(2000, 5);
  const [parts, whole] = [termMerger(5), termMerger(5)];
  for (let from = 0; from < texts.length; from += 300) parts.add(counted(texts.slice(from, from + 300), 5));
  whole.add(counted(texts, 5));
  assert.deepEqual(asObject(parts.result()), asObject(whole.result()));
  assert.deepEqual(parts.result().totals, whole.result().totals);
});

test('beyond so many terms the heaviest are kept, with errors no larger than stated', () => {
  const most = 400;
  const texts = randomTexts(4000, 3);
  const merger = termMerger(3, most);
  for (let from = 0; from < texts.length; from += 500)
    merger.add(counted(texts.slice(from, from + 500), 3, [], most));
  const found = merger.result();
  const exact = termMerger(3);
  exact.add(counted(texts, 3));
  const [kept, all] = [asObject(found), asObject(exact.result())];
  const n = found.totals.reduce((a, b) => a + b, 0);
  assert.ok(found.terms.length <= most && found.error > 0 && found.error <= n / (most + 1), `${found.error}`);
  const sum = (counts: Record<string, number> = {}) => Object.values(counts).reduce((a, b) => a + b, 0);
  for (const [term, counts] of Object.entries(all)) {
    const missing = sum(counts) - sum(kept[term]);
    assert.ok(missing >= 0 && missing <= found.error, `${term}: ${missing}`);
  }
});
