import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areForms, wordNames } from '../../../model/words/keywords.ts';

const word = (word: string, weight: number, excess = 1) => ({ word, weight, excess });

test('a name has the heaviest words that others lack, each once', () => {
  const [name] = wordNames([
    word('library', 0.9, 0.1),
    word('puzzle game', 0.8),
    word('games', 0.7),
    word('puzzle', 0.6),
    word('arcade', 0.5),
    word('joystick', 0.1),
  ]);
  assert.equal(name, 'puzzle game, arcade');
});

test('where a name is taken, the next has a further word', () => {
  const own = [word('wine', 0.9), word('beer', 0.8), word('cider', 0.1)];
  assert.deepEqual(wordNames(own), ['wine, beer', 'wine, beer, cider']);
  assert.deepEqual(wordNames([]), []);
});

test('a name has at most 60 characters', () => {
  const long = ['a', 'b', 'c'].map((letter, i) => word(letter.repeat(50), 3 - i));
  assert.deepEqual(wordNames(long), ['a'.repeat(50)]);
});

test('forms of a word differ by short endings', () => {
  assert.ok(areForms('library', 'libraries') && areForms('game', 'games') && areForms('ab', 'ab'));
  assert.ok(!areForms('test', 'text') && !areForms('inter', 'international'));
});
