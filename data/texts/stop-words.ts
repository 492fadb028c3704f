import { createRequire } from 'node:module';

/**
 * The stop words of the language that a text is in: of the lists of stopwords-iso that which has the largest share of its words. Empty for
 * a language without a list.
 *
 * @param frequency how often each word, in lower case, is in the texts
 */
export function stopWordsOf(frequency: ReadonlyMap<string, number>): ReadonlySet<string> {
  const lists: Record<string, string[]> = createRequire(import.meta.url)('stopwords-iso');
  let best: { list: readonly string[]; covered: number } = { list: [], covered: 0 };
  for (const list of Object.values(lists)) {
    const covered = list.reduce((sum, word) => sum + (frequency.get(word) ?? 0), 0);
    if (covered > best.covered) best = { list, covered };
  }
  return new Set(best.list);
}
