import type { Keyword } from './keywords.ts';
import { plainText, wordsOf } from './words.ts';

/** Texts that show what a node is about: near its centre, and unlike each other. */

/** How much it counts that a text is unlike those that are chosen, against its place among the nearest ones. */
const DIVERSITY = 0.5;
const MOST_SHOWN = 300;

/**
 * The `most` texts by maximal marginal relevance (Carbonell and Goldstein 1998), as places in `texts`, which are in the order of their
 * distances from the centre. Alike are those with much the same words, by the cosine of their tf-idf; `idf`: of a word.
 */
export function typicalTexts(
  texts: readonly string[],
  most: number,
  idf: (word: string) => number,
): number[] {
  const vectors = texts.map((text) => vectorOf(text, idf));
  const chosen: number[] = [];
  const left = new Set(texts.keys());
  for (const i of left) if (!texts[i].trim() || texts.indexOf(texts[i]) < i) left.delete(i);
  while (chosen.length < most && left.size) {
    let best = { i: -1, score: Number.NEGATIVE_INFINITY };
    for (const i of left) {
      const alike = Math.max(0, ...chosen.map((other) => cosine(vectors[i], vectors[other])));
      const score = (1 - DIVERSITY) * (1 - i / texts.length) - DIVERSITY * alike;
      if (score > best.score) best = { i, score };
    }
    chosen.push(best.i);
    left.delete(best.i);
  }
  return chosen;
}

function vectorOf(text: string, idf: (word: string) => number): Map<string, number> {
  const vector = new Map<string, number>();
  for (const word of wordsOf(text)) vector.set(word, (vector.get(word) ?? 0) + 1);
  let squares = 0;
  for (const [word, count] of vector) {
    const weight = count * idf(word);
    vector.set(word, weight);
    squares += weight * weight;
  }
  const length = Math.sqrt(squares) || 1;
  for (const [word, weight] of vector) vector.set(word, weight / length);
  return vector;
}

function cosine(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [word, weight] of a) sum += weight * (b.get(word) ?? 0);
  return sum;
}

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/** A text as it is shown: plain, and of a long one the sentence with the most weight of keywords and what follows, up to 300 characters. */
export function excerpt(text: string, keywords: readonly Keyword[]): string {
  const plain = plainText(text).replace(/\s+/g, ' ').trim();
  if (plain.length <= MOST_SHOWN) return plain;
  const weights = new Map(keywords.map(({ word, weight }) => [word, weight]));
  let best = { index: 0, weight: 0 };
  for (const { segment, index } of sentences.segment(plain)) {
    const own = wordsOf(segment);
    const terms = new Set([...own, ...own.slice(1).map((word, i) => `${own[i]} ${word}`)]);
    const weight = [...terms].reduce((sum, term) => sum + (weights.get(term) ?? 0), 0);
    if (weight > best.weight) best = { index, weight };
  }
  const from = plain.slice(best.index);
  const shown = from.length <= MOST_SHOWN ? from.trim() : `${whole(from.slice(0, MOST_SHOWN))}…`;
  return best.index ? `…${shown}` : shown;
}

/** Without half of a character at its end. */
const whole = (text: string) => text.replace(/[\ud800-\udbff]$/, '');
