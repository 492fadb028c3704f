import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generator } from '../../../model/random.ts';
import { foldedText, plainText, segmentsByUnicode, segmentsOf, wordsOf } from '../../../model/words/words.ts';

test('words found by a regular expression are those of Unicode', () => {
  const { uniform: rng } = generator(1n, 'words');
  const letters = Array.from({ length: 0x2100 }, (_, code) => String.fromCharCode(code));
  const common = "ab1_ '.:,;-’".split('');
  for (let i = 0; i < 20_000; i++) {
    const from = i % 2 ? letters.slice(0, 0x250) : letters;
    const pick = (list: string[]) => list[Math.floor(rng() * list.length)];
    const text = foldedText(Array.from({ length: 12 }, () => pick(rng() < 0.5 ? common : from)).join(''));
    assert.deepEqual(segmentsOf(text), segmentsByUnicode(text), JSON.stringify(text));
  }
});

test('words are those of any language, in lower case, without numbers, single letters and possessives', () => {
  assert.deepEqual(wordsOf("The cat’s 3 KITTENS, a 2024 Größe! Don't."), [
    'the',
    'cat',
    'kittens',
    'größe',
    "don't",
  ]);
  assert.deepEqual(wordsOf('ﬁne Ｗｉｄｅ'), ['fine', 'wide']);
  assert.ok(wordsOf('机器学习很有趣').includes('机器') || wordsOf('机器学习很有趣').length > 1);
  assert.ok(wordsOf('ฉันรักภาษาไทย').length > 2);
  assert.deepEqual(wordsOf('שלום, עולם'), ['שלום', 'עולם']);
  assert.deepEqual(wordsOf('مرحبا بالعالم'), ['مرحبا', 'بالعالم']);
  assert.deepEqual(wordsOf('cats 😀👩‍👩‍👧 dogs'), ['cats', 'dogs']);
});

test('markup, entities and what nobody sees are no words', () => {
  assert.deepEqual(
    wordsOf('<p class="x">Red&nbsp;<b>wine</b></p><script>alert("no")</script><!-- hidden --> if a < bee'),
    ['red', 'wine', 'if', 'bee'],
  );
  assert.deepEqual(wordsOf('one\u0000two\u001b[31m\nso\u00adft \u202eright\u202c'), [
    'one',
    'two',
    '31m',
    'soft',
    'right',
  ]);
  assert.equal(plainText('a <b>bold</b> word'), 'a  bold  word');
  // In time that grows with the length alone.
  assert.deepEqual(wordsOf('<script '.repeat(20_000)).slice(0, 2), ['script', 'script']);
});

test('addresses and other long strings are no words', () => {
  assert.deepEqual(wordsOf(`key ${'a'.repeat(65)} ${'b'.repeat(64)}`), ['key', 'b'.repeat(64)]);
});

/** What tags are. On text of many beginnings of tags it takes time that grows with the square of the length, or worse. */
const TAGS = /<(script|style)\b[^>]*>[\s\S]*?<\/\1\s*>|<!--[\s\S]*?-->|<[a-z/!?][^<>]*>/gi;

test('tags are those of a regular expression, and are found in time that grows with the length alone', () => {
  const { uniform: rng } = generator(2n, 'tags');
  const parts = [
    ...['<', '>', '<script', '<STYLE', '</script', '</Style', '<script>', '</style >', '<!--', '-->', '--'],
    ...['/', '!', 'x y', '<b', 'a', '_', ' '],
  ];
  for (let i = 0; i < 50_000; i++) {
    const length = Math.floor(rng() * 14);
    const text = Array.from({ length }, () => parts[Math.floor(rng() * parts.length)]).join('');
    assert.equal(plainText(text), text.replace(TAGS, ' '), JSON.stringify(text));
  }
  const before = process.cpuUsage().user;
  for (const own of ['<script', '<script>', '<!--', '<a', '</style ', '<style>x'])
    plainText(own.repeat(100_000));
  assert.ok(process.cpuUsage().user - before < 10e6);
});
