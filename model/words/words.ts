/** The words of a text, of any language: by the rules of Unicode (UAX #29), and by a dictionary where words have no spaces between them. */

/** Characters, from the start of a text, in which words are looked for. */
export const MOST_CHARACTERS = 20_000;
/** What is longer is an address, a key or other data rather than a word. */
const MOST_LETTERS = 64;

const segmenter = new Intl.Segmenter('en', { granularity: 'word' });

const ENTITIES = /&(?:[a-z][a-z0-9]{1,31}|#\d{1,7}|#x[0-9a-f]{1,6});/gi;
/** They only direct how text is set: hyphens that may be, directions, marks of byte order. */
const UNSEEN = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has some
const ASCII = /^[\u0000-\u007f]*$/;

/** A text without tags, entities and characters that nobody sees. */
export function plainText(text: string): string {
  let plain = text;
  if (plain.includes('<')) plain = withoutTags(plain);
  if (plain.includes('&')) plain = plain.replace(ENTITIES, ' ');
  plain = plain.replace(CONTROLS, ' ');
  return ASCII.test(plain) ? plain : plain.replace(UNSEEN, '');
}

/** Whose content is not for readers. */
const UNREAD = /(script|style)\b/iy;
const [OF_TAG, COMMENT, END_OF_COMMENT] = [/[a-z/!?]/i, '<!--', '-->'];

/**
 * A blank in place of each element whose content is not for readers, comment and other tag; what begins like none, as in `a < b`, is text. Each
 * character is looked at a few times, whatever the text: a regular expression would look for the end of each tag anew.
 */
function withoutTags(text: string): string {
  const found: string[] = [];
  const closed = endFinder(text, '>');
  const commented = endFinder(text, END_OF_COMMENT);
  const elements: Record<string, (from: number) => number> = {
    script: endFinder(text, /<\/script\s*>/gi),
    style: endFinder(text, /<\/style\s*>/gi),
  };
  /** The end of what is to be removed there; -1 if that is text. */
  function endOf(at: number): number {
    UNREAD.lastIndex = at + 1;
    const [, name] = UNREAD.exec(text) ?? [];
    if (name) {
      const end = closed(UNREAD.lastIndex);
      const all = end < 0 ? -1 : elements[name.toLowerCase()](end);
      if (all >= 0) return all;
    }
    if (text.startsWith(COMMENT, at)) {
      const end = commented(at + COMMENT.length);
      if (end >= 0) return end;
    }
    if (!OF_TAG.test(text[at + 1] ?? '')) return -1;
    const [end, next] = [closed(at + 2), text.indexOf('<', at + 2)];
    return next >= 0 && next < end ? -1 : end;
  }
  let kept = 0;
  for (let at = text.indexOf('<'); at >= 0; ) {
    const end = endOf(at);
    if (end >= 0) {
      found.push(text.slice(kept, at));
      kept = end;
    }
    at = text.indexOf('<', end >= 0 ? end : at + 1);
  }
  return found.length ? `${found.join(' ')} ${text.slice(kept)}` : text;
}

/** Finds the end of the first of these from a place on, -1 if there is none, and remembers it for places that come later. */
function endFinder(text: string, sought: string | RegExp): (from: number) => number {
  let [start, end] = [-1, -1];
  let isLast = false;
  return (from) => {
    if (start >= from || isLast) return end;
    if (typeof sought === 'string') {
      start = text.indexOf(sought, from);
      end = start < 0 ? -1 : start + sought.length;
    } else {
      sought.lastIndex = from;
      start = sought.exec(text)?.index ?? -1;
      end = start < 0 ? -1 : sought.lastIndex;
    }
    isLast = start < 0;
    return end;
  };
}

/** As its words are compared: plain, in lower case, with characters that look alike as one (NFKC). A colon ends a word in all languages. */
export function foldedText(text: string): string {
  const lower = plainText(text.slice(0, MOST_CHARACTERS)).toLowerCase().replaceAll(':', ' ');
  return ASCII.test(lower)
    ? lower
    : lower.normalize('NFKC').toLowerCase().replaceAll(':', ' ').replaceAll('’', "'");
}

/** Latin, Greek and Cyrillic letters and what stands between them: a regular expression finds their words as well, and sooner. */
const SIMPLE =
  /^[\t-\r -~\u00a0-\u024f\u0386-\u03ff\u0400-\u0481\u048a-\u052f\u1e00-\u1eff\u2010-\u2023\u2026\u20a0-\u20bf]*$/;
/** Letters and digits, with marks between two letters, or between two digits, that do not end a word. */
const WORDS =
  /[\p{L}\p{Nd}_]+(?:(?:(?<=\p{L})['.\u00b7\u0387\u2018\u2019](?=\p{L})|(?<=\p{Nd})[',.;\u2018\u2019](?=\p{Nd}))[\p{L}\p{Nd}_]+)*/gu;
const LETTER_OR_DIGIT = /[\p{L}\p{Nd}]/u;

/** Are its words found by the expression? Else they depend on the version of the library that has the rules and dictionaries. */
export const isSimple = (text: string): boolean => SIMPLE.test(foldedText(text));

/** The parts of a folded text, in order, that Unicode takes for words or numbers; without a letter or digit it is none. */
export const segmentsOf = (folded: string): string[] =>
  SIMPLE.test(folded) ? (folded.match(WORDS) ?? []).filter(isSomething) : segmentsByUnicode(folded);

const isSomething = (segment: string) => segment[0] !== '_' || LETTER_OR_DIGIT.test(segment);

export function segmentsByUnicode(folded: string): string[] {
  const found: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(folded))
    if (isWordLike && isSomething(segment)) found.push(segment);
  return found;
}

const LETTER = /\p{L}/u;
const isLetter = (code: number) => code >= 97 && code <= 122;

/** Words of two letters or more, without a possessive 's; numbers are none. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const segment of segmentsOf(foldedText(text))) {
    const word = segment.endsWith("'s") ? segment.slice(0, -2) : segment;
    if (word.length < 2 || word.length > MOST_LETTERS) continue;
    if (isLetter(word.charCodeAt(0)) || LETTER.test(word)) words.push(word);
  }
  return words;
}
