// Texts of rows in the cache: the same again, found by words as they stand, and no more than are asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepTexts } from '../../data/texts/kept-texts.ts';
import { inSlices } from '../../data/texts/texts.ts';
import { scratchFolder } from './files.ts';

const { put } = scratchFolder();
const always = () => true;

/** Keeps these as the texts of a file; `written`: how often they were asked for. */
async function kept(name: string, texts: readonly string[], rows = texts.length) {
  const path = put(name, 'x');
  let written = 0;
  const open = () =>
    keepTexts(path, name, rows, (each) => {
      written++;
      return each(inSlices(texts));
    });
  return { open, written: () => written };
}

test('words are found as they stand, in any case, over blocks and chunks; a pattern is no pattern', async () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `row ${i} ${'filler words '.repeat(10)}`);
  Object.assign(texts, { 0: 'Tide', 127: 'tide tide', 128: 'the TIDE.*', 300: '', 19999: 'a tide' });
  const { open, written } = await kept('many', texts);
  const first = await open();
  assert.deepEqual(await first.find('tiDE', 9, always), { rows: [0, 127, 128, 19_999], isAll: true });
  assert.deepEqual(await first.find('tide', 4, always), { rows: [0, 127, 128, 19_999], isAll: true });
  assert.deepEqual(await first.find('tide', 3, always), { rows: [0, 127, 128], isAll: false });
  assert.deepEqual(await first.find('.*', 3, always), { rows: [128], isAll: true });
  assert.deepEqual(await first.find('row 12345 ', 3, always), { rows: [12_345], isAll: true });
  for (const words of ['zebra', '', ' ', '\0', '\n\u2028'])
    assert.deepEqual(await first.find(words, 3, always), { rows: [], isAll: true });
  assert.deepEqual(await first.at([300, 128, 19_999, 127]), ['', 'the TIDE.*', 'a tide', 'tide tide']);
  first.close();
  const again = await open();
  assert.deepEqual(await again.at([0]), ['Tide']);
  again.close();
  assert.equal(written(), 1);
});

test('a search that nobody wants any more ends before its next chunk', async () => {
  const { open } = await kept('wide', Array(3000).fill('x'.repeat(2000)));
  const texts = await open();
  let asked = 0;
  assert.equal(await texts.find('y', 1, () => ++asked < 3), null);
  assert.equal(asked, 3);
  texts.close();
});

test('breaks, accents, long texts and letters of any script', async () => {
  const long = `${'z'.repeat(19_999)}Q needle`;
  const { open } = await kept('odd', [
    'a\nb\u2028c\u0000',
    'cafe\u0301 ΟΔΟΣ',
    long,
    '\u202egnihtemos',
    '日本語',
  ]);
  const texts = await open();
  assert.deepEqual((await texts.at([0]))[0], 'a b c ');
  for (const [words, rows] of [
    ['a b', [0]],
    ['b\nc', [0]],
    ['CAFÉ', [1]],
    ['οδος', [1]],
    ['zq', [2]],
    ['needle', []],
    ['gnih', [3]],
    ['本', [4]],
  ] as const)
    assert.deepEqual((await texts.find(words, 5, always))?.rows, rows, words);
  texts.close();
});

test('there has to be a text for each row, and nothing is kept of a file that has others', async () => {
  const { open, written } = await kept('short', ['one', 'two'], 3);
  for (const _ of [1, 2]) await assert.rejects(open, /short has 2 texts, but the run has 3 rows/);
  assert.equal(written(), 2);
});
