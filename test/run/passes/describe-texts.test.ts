import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nd } from '../../../proto/tensors.ts';
import { type TextsInput, termsOfParts } from '../../../run/passes/describe-texts.ts';
import { tableOfTexts } from '../../../tasks/terms/compute.ts';

/** What is said of one cluster that has these texts. */
async function described(texts: string[], more: Partial<TextsInput> = {}) {
  const bytes = texts.map((text) => Buffer.from(text));
  const terms = termsOfParts(1);
  const fetched = {
    texts: nd(new Uint8Array(Buffer.concat(bytes))),
    lengths: nd(Int32Array.from(bytes, ({ length }) => length)),
    labels: nd(new Int32Array(texts.length)),
  };
  const icu = process.versions.icu ?? '';
  terms.add(await tableOfTexts(fetched, { k: 1, languages: [], icu }));
  const usual = { bm25Weighting: false, reduceFrequentWords: false, minDf: 1, languages: [], joins: [] };
  const [only] = terms.describe({
    ...usual,
    sizes: [texts.length],
    exemplars: [texts.slice(0, 10)],
    ...more,
  }).nodes;
  return only;
}

test('one cluster has the words that are frequent', async () => {
  const { words, names } = await described(['red wine', 'wine', '', 'old wine']);
  assert.equal(words[0].word, 'wine');
  assert.match(names[0], /^wine, /);
});

test('texts without words have none, nor a name', async () => {
  assert.deepEqual(await described(['', '', '']), { words: [], texts: [], names: [] });
  const { words, names } = await described(['1 2 3', '😀 😀', '\u0000\u0007']);
  assert.deepEqual([words, names], [[], []]);
});

test('control characters and directions are in no word and no text that is shown', async () => {
  const { words, texts } = await described([
    'a\u0000b\u001b[31m wine',
    '\u202eשלום\u202c wine\u0007',
    '<b>wine</b>',
  ]);
  const shown = JSON.stringify([words, texts]);
  assert.match(shown, /wine/);
  assert.match(shown, /שלום/);
  assert.doesNotMatch([...words.map(({ word }) => word), ...texts].join(''), /[\p{Cc}\u202a-\u202e]|<b>/u);
});
