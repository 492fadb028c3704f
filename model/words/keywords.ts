import { MOST_CHARACTERS } from '../description/names.ts';
import type { MergedTerms } from './term-table.ts';

/**
 * The words that tell clusters and joins of clusters apart: class-based tf-idf (Grootendorst 2022, BERTopic).
 *
 * W = tf · log(1 + A / f), where tf is the share of a term among all of a node, f how often it is in the texts of all, and A the mean number
 * of terms in the texts of a cluster, rounded down; with BM25 weighting tf · log(1 + (A − f + .5) / (f + .5)).
 */

export interface WeightOptions {
  bm25Weighting: boolean;
  /** √tf in place of tf. */
  reduceFrequentWords: boolean;
  /** Terms in fewer texts do not count at all. */
  minDf: number;
}

/** Two nodes that become one: clusters 0 … K−1, and above them joins K, K+1 … as they come. */
export interface NodePair {
  a: number;
  b: number;
}

export interface Keyword {
  word: string;
  weight: number;
  /** By how much less frequent it is elsewhere: the share of its frequency that others do not have, 0 … 1, the mean of that in the sibling and in all others. */
  excess: number;
}

/** Words of a node from which those of the joins above it are chosen. */
const CANDIDATES = 300;
/** A term of so large a share of all texts tells nothing of a node … */
const COMMON = 0.5;
/** … that has it less than so many times as often as the others. */
const LEAST_RATIO = 1.5;
/**
 * That of a stop word: texts in a conversational tone have more of "you" and "I" whatever they are about, but lists of stop words also
 * have words such as "computer" that a topic may be about.
 */
const STOP_WORD_RATIO = 8;
/** And it has to be there once in so many texts of the node at least. */
const STOP_WORD_TEXTS = 4;

/**
 * The `most` best keywords of each cluster, then of each join. `sizes`: texts of each cluster; `joins`: of all clusters, or none.
 */
export function keywordsOf(
  table: MergedTerms,
  {
    joins,
    sizes,
    stopWords,
    most,
    ...options
  }: WeightOptions & {
    joins: readonly NodePair[];
    sizes: readonly number[];
    stopWords: ReadonlySet<string>;
    most: number;
  },
): Keyword[][] {
  const { terms, documents } = table;
  const k = table.totals.length;
  const counts = countsOfNodes(table, joins, options.minDf);
  const { all, frequency } = counts;
  const mean = Math.floor(all / k);
  const idf = Float64Array.from(frequency, (f) =>
    options.bm25Weighting ? Math.log1p((mean - f + 0.5) / (f + 0.5)) : Math.log1p(mean / f),
  );
  const texts = sizes.reduce((sum, own) => sum + own, 0);
  const ratio = Float64Array.from(terms, (term, i) =>
    stopWords.has(term) ? STOP_WORD_RATIO : documents[i] >= COMMON * texts && k > 1 ? LEAST_RATIO : 0,
  );
  const textsOf = [...sizes];
  for (const { a, b } of joins) textsOf.push(textsOf[a] + textsOf[b]);
  const weightOf = (node: number, term: number, count: number) => {
    const total = counts.totals[node];
    const elsewhere = frequency[term] - count;
    const isTelling =
      ratio[term] === 0 || (all > total && count * (all - total) >= ratio[term] * elsewhere * total);
    if (!isTelling || (ratio[term] === STOP_WORD_RATIO && STOP_WORD_TEXTS * count < textsOf[node])) return 0;
    const tf = count / total;
    return (options.reduceFrequentWords ? Math.sqrt(tf) : tf) * idf[term];
  };
  interface Candidate {
    term: number;
    weight: number;
  }
  const best = (candidates: Candidate[]) =>
    candidates
      .sort((x, y) => y.weight - x.weight || (terms[x.term] < terms[y.term] ? -1 : 1))
      .slice(0, CANDIDATES);
  const nodes: Candidate[][] = [];
  for (let cluster = 0; cluster < k; cluster++) nodes.push(best(counts.heaviest(cluster, weightOf)));
  for (const [i, { a, b }] of joins.entries()) {
    const known = new Set([...nodes[a], ...nodes[b]].map(({ term }) => term));
    const weighed = Array.from(known, (term) => ({
      term,
      weight: weightOf(k + i, term, counts.count(k + i, term)),
    }));
    nodes.push(best(weighed.filter(({ weight }) => weight > 0)));
  }
  const siblings = siblingsOf(joins, k);
  return nodes.map((candidates, node) =>
    candidates.slice(0, most).map(({ term, weight }) => {
      const count = counts.count(node, term);
      const own = count / counts.totals[node];
      const others = (frequency[term] - count) / (all - counts.totals[node]) || 0;
      const sibling = siblings[node];
      const next = sibling < 0 ? others : counts.count(sibling, term) / counts.totals[sibling] || 0;
      const excess = (Math.max(0, 1 - others / own) + Math.max(0, 1 - next / own)) / 2;
      return { word: terms[term], weight, excess };
    }),
  );
}

/** Of each node the other one of its join; −1 of the last. */
function siblingsOf(joins: readonly NodePair[], k: number): Int32Array {
  const siblings = new Int32Array(k + joins.length).fill(-1);
  for (const { a, b } of joins) [siblings[a], siblings[b]] = [b, a];
  return siblings;
}

/**
 * How often each term is in the texts of each node. Clusters are in the order of the tree's leaves, in which each join is an interval, and
 * of each term there are running sums over them.
 */
function countsOfNodes(table: MergedTerms, joins: readonly NodePair[], minDf: number) {
  const { terms, documents, lists, cluster, count } = table;
  const k = table.totals.length;
  const { intervals, order } = leafIntervals(joins, k);
  const frequency = new Float64Array(terms.length);
  const clusterTotals = table.totals.slice();
  // Sorted by place: first by cluster, then one cluster after the other.
  const starts = new Int32Array(k + 1);
  for (const own of cluster) starts[own + 1]++;
  for (let c = 0; c < k; c++) starts[c + 1] += starts[c];
  const next = starts.slice();
  const [term, number] = [new Int32Array(cluster.length), new Uint32Array(cluster.length)];
  for (let t = 0; t < terms.length; t++) {
    const isRare = documents[t] < minDf;
    for (let i = lists[t]; i < lists[t + 1]; i++) {
      const at = next[cluster[i]]++;
      term[at] = t;
      number[at] = isRare ? 0 : count[i];
      frequency[t] += count[i];
      if (isRare) clusterTotals[cluster[i]] -= count[i];
    }
  }
  const [places, sums] = [new Int32Array(cluster.length), new Float64Array(cluster.length)];
  const end = lists.slice();
  for (const [place, c] of order.entries())
    for (let i = starts[c]; i < starts[c + 1]; i++) {
      const at = end[term[i]]++;
      places[at] = place;
      sums[at] = number[i] + (at > lists[term[i]] ? sums[at - 1] : 0);
    }
  /** The sum over the places before this one. */
  const before = (t: number, place: number) => {
    let [low, high] = [lists[t], lists[t + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle] < place) low = middle + 1;
      else high = middle;
    }
    return low > lists[t] ? sums[low - 1] : 0;
  };
  const totals = new Float64Array(k + joins.length);
  totals.set(clusterTotals);
  for (const [i, { a, b }] of joins.entries()) totals[k + i] = totals[a] + totals[b];
  return {
    frequency,
    totals,
    all: clusterTotals.reduce((sum, own) => sum + own, 0),
    count: (node: number, t: number) => before(t, intervals[node][1]) - before(t, intervals[node][0]),
    /** The heaviest terms of a cluster, those with weights, in any order: enough of them, and all that are as heavy. */
    heaviest(c: number, weightOf: (node: number, term: number, count: number) => number) {
      const size = starts[c + 1] - starts[c];
      const weights = new Float64Array(size);
      for (let i = 0; i < size; i++) {
        const at = starts[c] + i;
        weights[i] = number[at] > 0 ? weightOf(c, term[at], number[at]) : 0;
      }
      const least = size > CANDIDATES ? weights.slice().sort()[size - CANDIDATES] : 0;
      const found: { term: number; weight: number }[] = [];
      for (const [i, weight] of weights.entries())
        if (weight > 0 && weight >= least) found.push({ term: term[starts[c] + i], weight });
      return found;
    },
  };
}

/** An order of the clusters in which each node is an interval `from … to−1`. */
export function leafIntervals(
  joins: readonly NodePair[],
  k: number,
): { order: Int32Array; intervals: [from: number, to: number][] } {
  const sizes = new Int32Array(k + joins.length).fill(1, 0, k);
  for (const [i, { a, b }] of joins.entries()) sizes[k + i] = sizes[a] + sizes[b];
  const intervals: [number, number][] = Array(k + joins.length);
  const isBelow = new Uint8Array(k + joins.length);
  for (const { a, b } of joins) isBelow[a] = isBelow[b] = 1;
  let at = 0;
  for (let node = 0; node < intervals.length; node++)
    if (!isBelow[node]) intervals[node] = [at, (at += sizes[node])];
  for (let i = joins.length - 1; i >= 0; i--) {
    const { a, b } = joins[i];
    const [from, to] = intervals[k + i];
    intervals[a] = [from, from + sizes[a]];
    intervals[b] = [from + sizes[a], to];
  }
  const order = new Int32Array(k);
  for (let cluster = 0; cluster < k; cluster++) order[intervals[cluster][0]] = cluster;
  return { order, intervals };
}

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
