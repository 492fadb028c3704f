import { MOST_CHARACTERS } from '../description/names.ts';
import type { Keyword } from './keywords.ts';

/** Names of nodes of the tree, from the keywords that tell each from its sibling. */

/** Words of a name, if they suffice to tell it from others: the third only if it counts at least this share of the first. */
const [LEAST_WORDS, MOST_WORDS, THIRD] = [2, 3, 0.25];
/** Keywords among which these are: others may be in few of the texts. */
const FIRST_KEYWORDS = 10;
/** Letters that words have in common at least, and that each may have besides, to be forms of one. */
const [STEM, ENDING] = [4, 3];

/**
 * Names for a node, by its keywords: those first that are heavy there, and less frequent in the sibling and in all others. The best first,
 * each of the next with one more word; none without keywords.
 */
export function wordNames(keywords: readonly Keyword[]): string[] {
  const words = tellingWords(keywords);
  const wanted = (words[2]?.score ?? 0) >= THIRD * words[0]?.score ? MOST_WORDS : LEAST_WORDS;
  const names: string[] = [];
  for (let count = Math.min(wanted, words.length); count >= 1 && count <= words.length; count++) {
    const own = words.slice(0, count).map(({ word }) => word);
    while (own.length > 1 && own.join(', ').length > MOST_CHARACTERS) own.pop();
    names.push(own.join(', '));
    if (own.length < count) break;
  }
  return names;
}

/** The words in the order in which a name takes them, without forms of those before. */
function tellingWords(keywords: readonly Keyword[]): { word: string; score: number }[] {
  const byScore = (some: readonly Keyword[]) =>
    some
      .map(({ word, weight, excess }) => ({ word, weight, score: weight * excess }))
      .sort((a, b) => b.score - a.score || b.weight - a.weight || (a.word < b.word ? -1 : 1));
  const found: { word: string; score: number }[] = [];
  const used: string[] = [];
  const ordered = [keywords.slice(0, FIRST_KEYWORDS), keywords.slice(FIRST_KEYWORDS)].flatMap(byScore);
  for (const { word, score } of ordered) {
    const parts = word.split(' ');
    if (parts.some((part) => used.some((other) => areForms(part, other)))) continue;
    found.push({ word, score });
    used.push(...parts);
  }
  return found;
}

/** Are these forms of one word, such as singular and plural: the same up to short endings? */
export function areForms(a: string, b: string): boolean {
  if (a === b) return true;
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  return same >= STEM && a.length - same <= ENDING && b.length - same <= ENDING;
}
