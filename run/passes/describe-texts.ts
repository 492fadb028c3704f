import { stopWordsOf } from '../../data/texts/stop-words.ts';
import {
  type Keyword,
  keywordsOf,
  type NodePair,
  type WeightOptions,
  wordNames,
} from '../../model/words/keywords.ts';
import { type MergedTerms, type TermTable, termMerger } from '../../model/words/term-table.ts';
import { excerpt, typicalTexts } from '../../model/words/typical-texts.ts';
import { type Tensors, take } from '../../proto/tensors.ts';

/** What is said of a node, at most. */
const [MOST_WORDS, MOST_TEXTS] = [10, 3];
/** Keywords among which a name finds its words. */
const NAMED_BY = 40;

export interface TextsInput extends WeightOptions {
  /** Those whose stop words are left out. */
  languages: readonly string[];
  /** Of the tree, from the first on; none where there is no tree. */
  joins: readonly NodePair[];
  /** Texts of each cluster. */
  sizes: readonly number[];
  /** By cluster the texts of the rows nearest to its centre, the nearest first. */
  exemplars: readonly (readonly string[])[];
}

/** What the texts of a cluster or join are about. */
export interface NodeTexts {
  words: { word: string; weight: number }[];
  texts: string[];
  /** What it could be called, the best first; none where it has no words. */
  names: string[];
}

/** Clusters first, then joins. */
export interface DescribedTexts {
  nodes: NodeTexts[];
  /** By how much counts of words may be too low. */
  error: number;
}

/** Merges the tables of parts of the rows, which have to come in their order. */
export function termsOfParts(k: number) {
  const merger = termMerger(k);
  return {
    add: (part: Tensors) => merger.add(tableOf(part)),
    describe: (input: TextsInput) => describeTexts(merger.result(), input),
  };
}

const tableOf = (part: Tensors): TermTable => ({
  text: take(part, 'text', 'uint8'),
  documents: take(part, 'documents', 'int32'),
  credit: take(part, 'credit', 'int32'),
  entries: take(part, 'entries', 'int32'),
  cluster: take(part, 'cluster', 'int32'),
  count: take(part, 'count', 'int32'),
  totals: take(part, 'totals', 'float64'),
  error: take(part, 'error', 'float64')[0],
});

function describeTexts(table: MergedTerms, input: TextsInput): DescribedTexts {
  const { joins, exemplars } = input;
  const stopWords = stopWordsOf(input.languages);
  const keywords = keywordsOf(table, { ...input, stopWords, most: NAMED_BY });
  const documents = new Map<string, number>();
  for (const [i, term] of table.terms.entries())
    if (!term.includes(' ')) documents.set(term, table.documents[i]);
  const all = input.sizes.reduce((sum, own) => sum + own, 0);
  const idf = (word: string) => (stopWords.has(word) ? 0 : Math.log(1 + all / (documents.get(word) ?? 1)));
  const texts: string[][] = [];
  const choose = (from: readonly string[]) => typicalTexts(from, MOST_TEXTS, idf).map((i) => from[i]);
  for (const own of exemplars) texts.push(choose(own));
  // Those of its two nodes in turn, those nearest to the centres first.
  for (const { a, b } of joins) texts.push(choose(inTurn(texts[a], texts[b])));
  return {
    nodes: keywords.map((own, node) => ({
      words: own.slice(0, MOST_WORDS).map(({ word, weight }: Keyword) => ({ word, weight })),
      texts: texts[node].map((text) => excerpt(text, own)),
      names: wordNames(own),
    })),
    error: table.error,
  };
}

const inTurn = (a: readonly string[], b: readonly string[]): string[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
    .flat()
    .filter((text) => text !== undefined);

/** To the digits that float32 has. */
export const short = (value: number) => Number(value.toPrecision(7));

/** What `clusters.json` has of a node with texts. */
export const textsOfNode = ({ words, texts }: NodeTexts) => ({
  words: words.map(({ word, weight }) => ({ word, weight: short(weight) })),
  texts,
});
