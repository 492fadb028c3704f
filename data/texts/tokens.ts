/** The words of a text, in lower case: of any language, also of those without spaces. */

/** Characters, from the start of a text, in which words are looked for. */
const MOST_CHARACTERS = 2_000;

const segmenter = new Intl.Segmenter(undefined, { granularity: 'word' });

/** Words of two letters or more; numbers are none. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(text.slice(0, MOST_CHARACTERS)))
    if (isWordLike && segment.length > 1 && /\p{L}/u.test(segment)) words.push(segment.toLowerCase());
  return words;
}
