import { MOST_TERMS } from '../widths.ts';
import { type TermTable, thresholdOf } from './term-table.ts';
import { wordsOf } from './words.ts';

/** Counts of words and pairs of words by cluster, in bounded memory. What a word is, and which words tell a cluster, other files decide. */

/**
 * Counts the words of texts, and pairs of words that follow each other once stop words are left out, by cluster. Texts come cluster by
 * cluster, so that what is counted now is one number for each term.
 */
export function termCounter(k: number, stopWords: ReadonlySet<string>, most = MOST_TERMS) {
  const known = new Map<string, number>();
  const words: string[] = [];
  let isStop = new Uint8Array(1 << 10);
  const ofWords = tally();
  const pairs = pairNumbers();
  const ofPairs = tally();
  const totals = new Float64Array(k);
  let cluster = 0;
  let document = 0;

  function numberOf(word: string): number {
    const found = known.get(word);
    if (found !== undefined) return found;
    const number = words.length;
    // What a pattern finds in a text is a part of it, which would keep all of the text in memory.
    const own = Buffer.from(word).toString();
    known.set(own, number);
    words.push(own);
    isStop = grown(isStop, words.length);
    isStop[number] = Number(stopWords.has(own));
    return number;
  }

  function endCluster(): void {
    ofWords.endCluster(cluster);
    ofPairs.endCluster(cluster);
  }

  return {
    /** `own`: its cluster, ascending from text to text. */
    add(own: number, text: string): void {
      if (own !== cluster) endCluster();
      cluster = own;
      document++;
      let before = -1;
      let terms = 0;
      for (const word of wordsOf(text)) {
        const number = numberOf(word);
        ofWords.count(number, document);
        if (isStop[number]) continue;
        terms++;
        if (before >= 0) {
          ofPairs.count(pairs.numberOf(before, number), document);
          terms++;
        }
        before = number;
      }
      totals[cluster] += terms;
    },
    /** All terms, or the `most` heaviest ones by Misra and Gries; in steps, as there may be millions of them. */
    *table(): Generator<void, TermTable> {
      endCluster();
      const found: Counted[] = [];
      for (const each of [ofWords, ofPairs]) {
        yield;
        found.push(each.byTerm());
      }
      yield;
      const credits = new Float64Array(found.reduce((sum, { credit }) => sum + credit.length, 0));
      credits.set(found[0].credit);
      credits.set(found[1].credit, found[0].credit.length);
      const error = thresholdOf(credits, most);
      const pairAt = pairs.all();
      const nameOf = [
        (term: number) => words[term],
        (term: number) => `${words[pairAt[2 * term]]} ${words[pairAt[2 * term + 1]]}`,
      ];
      return yield* joined(found, nameOf, error, totals);
    },
  };
}

/** Terms that are collected between two steps. */
const TERMS_AT_ONCE = 1 << 12;

type Counted = ReturnType<ReturnType<typeof tally>['byTerm']>;

/** The terms with more than the threshold, those of the words first. */
function* joined(
  found: Counted[],
  nameOf: ((term: number) => string)[],
  error: number,
  totals: Float64Array,
): Generator<void, TermTable> {
  const names: string[] = [];
  const [documents, credit, entries]: number[][] = [[], [], []];
  const size = found.reduce((sum, { cluster }) => sum + cluster.length, 0);
  const [cluster, count] = [new Int32Array(size), new Int32Array(size)];
  let at = 0;
  for (const [i, part] of found.entries())
    for (const [term, own] of part.credit.entries()) {
      if (own <= error) continue;
      if (names.length % TERMS_AT_ONCE === 0) yield;
      const [from, to] = [part.starts[term], part.starts[term + 1]];
      names.push(nameOf[i](term));
      documents.push(part.documents[term]);
      credit.push(own - error);
      entries.push(to - from);
      cluster.set(part.cluster.subarray(from, to), at);
      count.set(part.count.subarray(from, to), at);
      at += to - from;
    }
  return {
    text: Buffer.from(names.length ? `${names.join('\n')}\n` : ''),
    documents: Int32Array.from(documents),
    credit: Int32Array.from(credit),
    entries: Int32Array.from(entries),
    cluster: cluster.slice(0, at),
    count: count.slice(0, at),
    totals,
    error,
  };
}

/** Of each term, side by side as they are needed at once: how often it is in this cluster, the last text that had it, and the texts that had it. */
const [COUNT, LAST, DOCUMENTS, NUMBERS] = [0, 1, 2, 3];

/** Counts numbered terms of one cluster after the other. */
function tally() {
  let numbers = new Int32Array(1 << 12);
  let touched = new Int32Array(1 << 12);
  let [terms, touchedTerms, entries] = [0, 0, 0];
  let [term, cluster, count] = [new Int32Array(1 << 12), new Int32Array(1 << 12), new Int32Array(1 << 12)];
  return {
    /** `document`: from 1. */
    count(number: number, document: number): void {
      if (number >= terms) {
        terms = number + 1;
        numbers = grown(numbers, NUMBERS * terms);
      }
      const at = NUMBERS * number;
      if (numbers[at + COUNT]++ === 0) {
        touched = grown(touched, touchedTerms + 1);
        touched[touchedTerms++] = number;
      }
      if (numbers[at + LAST] === document) return;
      numbers[at + LAST] = document;
      numbers[at + DOCUMENTS]++;
    },
    endCluster(own: number): void {
      term = grown(term, entries + touchedTerms);
      cluster = grown(cluster, entries + touchedTerms);
      count = grown(count, entries + touchedTerms);
      for (const number of touched.subarray(0, touchedTerms)) {
        term[entries] = number;
        cluster[entries] = own;
        count[entries++] = numbers[NUMBERS * number + COUNT];
        numbers[NUMBERS * number + COUNT] = 0;
      }
      touchedTerms = 0;
    },
    /** Of each term, from `starts` on, the clusters that have it, ascending, and how often; how often in all, and in how many texts. */
    byTerm() {
      const starts = new Int32Array(terms + 1);
      const credit = new Float64Array(terms);
      for (let i = 0; i < entries; i++) {
        starts[term[i] + 1]++;
        credit[term[i]] += count[i];
      }
      for (let i = 0; i < terms; i++) starts[i + 1] += starts[i];
      const next = starts.slice();
      const [clusters, counts] = [new Int32Array(entries), new Int32Array(entries)];
      for (let i = 0; i < entries; i++) {
        const at = next[term[i]]++;
        clusters[at] = cluster[i];
        counts[at] = count[i];
      }
      const documents = new Int32Array(terms);
      for (let i = 0; i < terms; i++) documents[i] = numbers[NUMBERS * i + DOCUMENTS];
      return { starts, credit, documents, cluster: clusters, count: counts };
    },
  };
}

/** Numbers pairs of numbers in the order in which they come first. */
function pairNumbers() {
  /** By slot the pair and its number plus 1, side by side; 0: it is free. */
  let slots = new Int32Array(3 << 12);
  let mask = (1 << 12) - 1;
  let pairs = new Int32Array(1 << 12);
  let size = 0;
  const slotOf = (a: number, b: number) => {
    let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = 3 * (hash & mask); ; slot = slot === 3 * mask ? 0 : slot + 3)
      if (slots[slot + 2] === 0 || (slots[slot] === a && slots[slot + 1] === b)) return slot;
  };
  const put = (slot: number, a: number, b: number, number: number) => {
    slots[slot] = a;
    slots[slot + 1] = b;
    slots[slot + 2] = number + 1;
  };
  return {
    numberOf(a: number, b: number): number {
      const slot = slotOf(a, b);
      if (slots[slot + 2]) return slots[slot + 2] - 1;
      pairs = grown(pairs, 2 * size + 2);
      pairs[2 * size] = a;
      pairs[2 * size + 1] = b;
      put(slot, a, b, size++);
      if (2 * size > mask) {
        mask = 4 * mask + 3;
        slots = new Int32Array(3 * (mask + 1));
        for (let i = 0; i < size; i++)
          put(slotOf(pairs[2 * i], pairs[2 * i + 1]), pairs[2 * i], pairs[2 * i + 1], i);
      }
      return size - 1;
    },
    all: () => pairs,
  };
}

/** The array, or one of twice its length that begins like it, if it has less than `length` elements. */
function grown<A extends Int32Array | Uint8Array>(array: A, length: number): A {
  if (length <= array.length) return array;
  const larger = new (array.constructor as new (length: number) => A)(Math.max(length, 2 * array.length));
  larger.set(array);
  return larger;
}
