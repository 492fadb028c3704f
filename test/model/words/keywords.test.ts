import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { keywordsOf, leafIntervals, type NodePair } from '../../../model/words/keywords.ts';
import { termCounter } from '../../../model/words/term-counts.ts';
import { termMerger } from '../../../model/words/term-table.ts';
import { inSteps } from './support.ts';

function countedBy(
  texts: readonly string[],
  labels: readonly number[],
  k: number,
  stopWords = new Set<string>(),
) {
  const [counter, merger] = [termCounter(k, stopWords), termMerger(k)];
  const rows = [...labels.keys()].sort((a, b) => labels[a] - labels[b]);
  for (const row of rows) counter.add(labels[row], texts[row]);
  merger.add(inSteps(counter.table()));
  const sizes = Array.from({ length: k }, (_, c) => labels.filter((label) => label === c).length);
  return { table: merger.result(), about: { sizes, stopWords, joins: [] as NodePair[], most: 10 } };
}
const PLAIN = { bm25Weighting: false, reduceFrequentWords: false, minDf: 1 };

// make_keywords.py
const values = JSON.parse(readFileSync(new URL('keywords.json', import.meta.url), 'utf8'));

test('keywords are those of scikit-learn’s counts and BERTopic’s formula, for at least 95 % of clusters', () => {
  const { texts, labels, k, stopWords } = values;
  const { table, about } = countedBy(texts, labels, k, new Set(stopWords));
  for (const { keywords, ...options } of values.found) {
    const found = keywordsOf(table, { ...PLAIN, ...about, ...options });
    const same = found.filter((own, c) => {
      for (const [i, { weight }] of own.entries())
        assert.ok(Math.abs(weight / keywords[c][i][1] - 1) < 1e-9, `${c}, ${i}`);
      return own.every(({ word }) => keywords[c].some(([other]: [string]) => other === word));
    });
    assert.ok(same.length >= 0.95 * k, `${same.length} of ${k}`);
  }
});

test('a join has the keywords of its texts together', () => {
  const { texts, labels, k } = values;
  const joins = Array.from({ length: k - 1 }, (_, i) => ({ a: 2 * i, b: 2 * i + 1 }));
  const { table, about } = countedBy(texts, labels, k);
  const found = keywordsOf(table, { ...PLAIN, ...about, joins });
  // The leaves of a join, as one of the clusters. With the same inverse frequencies: of all terms, but of other classes.
  const { order, intervals } = leafIntervals(joins, k);
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(k).keys()],
  );
  for (let join = 0; join < joins.length; join += 5) {
    const [from, to] = intervals[k + join];
    const leaves = new Set(order.slice(from, to));
    const own = texts
      .filter((_: string, row: number) => leaves.has(labels[row]))
      .join(' | ')
      .split(/[ |]+/);
    for (const { word, weight } of found[k + join].filter(({ word }) => !word.includes(' '))) {
      const t = table.terms.indexOf(word);
      const f = table.count.slice(table.lists[t], table.lists[t + 1]).reduce((a, b) => a + b, 0);
      const total = [...leaves].reduce((sum, c) => sum + table.totals[c], 0);
      const mean = Math.floor(table.totals.reduce((a, b) => a + b, 0) / k);
      const tf = own.filter((other: string) => other === word).length / total;
      assert.ok(Math.abs(tf * Math.log1p(mean / f) - weight) < 1e-12, word);
    }
  }
});

test('stop words, and words of most texts, have to be far more frequent; rare words are none with minDf', () => {
  const texts = [
    ...Array(10).fill('you and the computer computer file loan'),
    ...Array(10).fill('you and the museum file'),
    'you once',
  ];
  const labels = texts.map((_, i) => Number(i >= 10));
  const { table, about } = countedBy(texts, labels, 2, new Set(['you', 'and', 'the', 'computer']));
  const words = (minDf: number) =>
    keywordsOf(table, { ...PLAIN, ...about, minDf }).map((own) => own.map(({ word }) => word));
  const [first, second] = words(1);
  assert.deepEqual(first.toSorted(), ['computer', 'file loan', 'loan']);
  assert.deepEqual(second.toSorted(), ['museum', 'museum file', 'once']);
  assert.deepEqual(words(2)[1].toSorted(), ['museum', 'museum file']);
});

test('of one cluster the words are those that are frequent', () => {
  const { table, about } = countedBy(['red wine', 'red cheese', 'the red'], [0, 0, 0], 1, new Set(['the']));
  const [[{ word }], ...others] = keywordsOf(table, { ...PLAIN, ...about });
  assert.equal(word, 'red');
  assert.equal(others.length, 0);
});

test('two thousand clusters and their joins take little time', () => {
  const k = 2000;
  const { uniform: rng } = generator(1n, 'many');
  const labels = Array.from({ length: 4 * k }, (_, row) => row % k);
  const texts = labels.map((label) =>
    Array.from({ length: 8 }, () =>
      rng() < 0.5 ? `own${label % 500}x${Math.floor(rng() * 9)}` : `w${Math.floor(rng() * 900)}`,
    ).join(' '),
  );
  const { table, about } = countedBy(texts, labels, k);
  const joins = Array.from({ length: k - 1 }, (_, i) => ({ a: 2 * i, b: 2 * i + 1 }));
  const start = performance.now();
  const found = keywordsOf(table, { ...PLAIN, ...about, joins });
  assert.equal(found.length, 2 * k - 1);
  assert.ok(found.every((own) => own.length === 10));
  assert.ok(performance.now() - start < 10_000);
});
