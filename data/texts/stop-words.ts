import { createRequire } from 'node:module';
import { foldedText, wordsOf } from '../../model/words/words.ts';

/** Words that are in texts whatever these are about: the lists of stopwords-iso, by the code of the language (ISO 639). */
const lists = (): Record<string, string[]> => createRequire(import.meta.url)('stopwords-iso');

/** The stop words of these languages. */
export const stopWordsOf = (languages: readonly string[]): Set<string> => {
  const all = languages.length ? lists() : {};
  return new Set(languages.flatMap((language) => (all[language] ?? []).map(foldedText)));
};

/** Of so large a share of the texts a language is one that they are in. */
const LEAST_SHARE = 0.05;

/**
 * The languages that texts are in: each is in that whose list has the most of its words, of several such the one with the most words of all
 * texts. Only languages of at least a twentieth of the texts that have stop words count: short texts have some of several lists.
 */
export function languagesOf(texts: readonly string[]): string[] {
  const all = lists();
  const languages = Object.keys(all).sort();
  const having = new Map<string, number[]>();
  for (const [i, language] of languages.entries())
    for (const word of new Set(all[language].map(foldedText)))
      having.set(word, [...(having.get(word) ?? []), i]);
  const covered = texts.map((text) => {
    const own = new Map<number, number>();
    for (const word of wordsOf(text))
      for (const i of having.get(word) ?? []) own.set(i, (own.get(i) ?? 0) + 1);
    return own;
  });
  const total = new Float64Array(languages.length);
  for (const own of covered) for (const [i, count] of own) total[i] += count;
  const votes = new Float64Array(languages.length);
  for (const own of covered) {
    const [first] = [...own].sort(([a, m], [b, n]) => n - m || total[b] - total[a] || a - b);
    if (first) votes[first[0]]++;
  }
  const voters = votes.reduce((sum, own) => sum + own, 0);
  return languages.filter((_, i) => votes[i] > 0 && votes[i] >= LEAST_SHARE * voters);
}
