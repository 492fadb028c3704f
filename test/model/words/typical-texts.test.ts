import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excerpt, typicalTexts } from '../../../model/words/typical-texts.ts';

test('typical texts are near the centre and unlike each other', () => {
  const texts = ['red wine', 'red wine', 'a red wine', 'dark beer', '', 'sweet cider'];
  assert.deepEqual(
    typicalTexts(texts, 3, () => 1),
    [0, 3, 5],
  );
  assert.deepEqual(
    typicalTexts([], 3, () => 1),
    [],
  );
});

test('of a long text the sentence with the most weight is shown, with what follows', () => {
  const text = `${'Nothing of note here. '.repeat(20)}The red wine is <b>sweet</b>. ${'More follows. '.repeat(40)}`;
  const shown = excerpt(text, [{ word: 'red wine', weight: 1, excess: 1 }]);
  assert.ok(shown.startsWith('…The red wine is sweet . More follows.'), shown);
  assert.ok(shown.length <= 302 && shown.endsWith('…'));
  assert.equal(excerpt('short\u0000 <i>text</i>', []), 'short text');
  // No half of a character.
  assert.doesNotMatch(excerpt('😀'.repeat(400), []), /[\ud800-\udbff](?![\udc00-\udfff])/);
});
