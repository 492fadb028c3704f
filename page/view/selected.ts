import { inSlices, yieldToEventLoop } from '../../base/slices.ts';
import { rowsAt } from '../../data/rows-at.ts';
import type { Source } from '../../data/source.ts';
import type { KeptTexts } from '../../data/texts/kept-texts.ts';
import { languagesOf, stopWordsOf } from '../../data/texts/stop-words.ts';
import { columnNames } from '../../model/description/telling-columns.ts';
import { generator, type Seed, stratified } from '../../model/random.ts';
import { keywordsOf, type WeightOptions } from '../../model/words/keywords.ts';
import { termCounter } from '../../model/words/term-counts.ts';
import { type MergedTerms, termMerger } from '../../model/words/term-table.ts';
import { namedVariables } from '../../run/named-columns.ts';

/** What sets rows that somebody has selected apart from all others: words of their texts, and columns. */

/** Numbers that are read at most. */
const MOST_NUMBERS = 1 << 20;
/** Words that are said, and those among which they are; and by what share of its frequency in the selected rows each is rarer in all rows, at least. */
const [MOST_WORDS, CANDIDATES, LEAST_EXCESS] = [10, 100, 1 / 3];
/** The log-likelihood ratio from which frequencies differ by more than chance (Dunning 1993): one of 10,000 words has it by chance. */
const LEAST_RATIO = 15.13;
/** Columns without names that say something by their numbers. */
const MOST_NUMBERED = 64;

/** Rows that stand for all, ascending. */
export const rowsOfAll = (rows: number, most: number, seed: Seed): number[] =>
  stratified(rows, Math.min(rows, most), generator(seed, 'map-selection'));

/** The words of the selected rows that are less frequent in all rows, of which there is a sample, the most telling first, by class-based tf-idf. */
export async function wordsOfSelection(
  texts: Pick<KeptTexts, 'at'>,
  [selected, all]: readonly [number[], number[]],
  options: Omit<WeightOptions, 'minDf'>,
): Promise<string[]> {
  const both = [await texts.at(selected), await texts.at(all)];
  const stopWords = stopWordsOf(languagesOf(both[1]));
  const counter = termCounter(2, stopWords);
  for (const [own, some] of both.entries())
    for (const text of some) {
      counter.add(own, text);
      await yieldToEventLoop();
    }
  const merger = termMerger(2);
  merger.add(await inSlices(counter.table()));
  const sizes = [selected.length, all.length];
  const table = merger.result();
  const how = { ...options, joins: [], sizes, stopWords, minDf: 1, most: CANDIDATES };
  const [words] = keywordsOf(table, how);
  return words
    .filter(({ word, excess }) => excess >= LEAST_EXCESS && ratioOf(table, word) >= LEAST_RATIO)
    .slice(0, MOST_WORDS)
    .map(({ word }) => word);
}

/** The log-likelihood ratio of a word's frequencies in two sets of texts. */
function ratioOf({ terms, lists, cluster, count, totals }: MergedTerms, word: string): number {
  const term = terms.indexOf(word);
  const counts = [0, 0];
  for (let i = lists[term]; i < lists[term + 1]; i++) counts[cluster[i]] = count[i];
  const share = (counts[0] + counts[1]) / (totals[0] + totals[1]);
  const part = (own: number, total: number) => (own ? own * Math.log(own / (share * total)) : 0);
  return 2 * (part(counts[0], totals[0]) + part(counts[1], totals[1]));
}

/** The columns that set the selected rows apart from others, such as `high income, low age`; null: none. */
export async function columnsOfSelection(
  source: Source,
  rows: readonly [number[], number[]],
): Promise<string | null> {
  const { dim, names, shape } = source;
  const numbers = !names && !shape && dim <= MOST_NUMBERED;
  const variables = namedVariables(source);
  if (numbers) for (let i = 0; i < dim; i++) variables.push({ name: `column ${i + 1}`, columns: [i] });
  const [own, rest] = rows.map((some) => some.slice(0, Math.floor(MOST_NUMBERS / dim / 2)));
  if (!variables.length || !own.length || !rest.length) return null;
  const values = new Float32Array((own.length + rest.length) * dim);
  values.set(await rowsAt(source, own));
  values.set(await rowsAt(source, rest), own.length * dim);
  const clusters = Int32Array.from({ length: own.length + rest.length }, (_, i) => Number(i >= own.length));
  const sample = { values, dim, clusters, sizes: [own.length, rest.length] };
  return columnNames(variables, sample, [])[0][0] ?? null;
}
