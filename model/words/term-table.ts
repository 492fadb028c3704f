import { MOST_TERMS } from '../widths.ts';

/** How often terms are in the texts of each cluster: tables of parts of the rows, which are merged into one of all. */

/**
 * A summary by Misra and Gries: of more than M terms only the heaviest are kept. Each has a credit, the least number of times that it is in
 * the texts; it may be in them `error` times more, and so may be any term that is not here. `error` ≤ n/(M+1), of n terms in all.
 * Two such summaries are merged by adding them and subtracting the (M+1)-th largest credit of all, which keeps that true (Agarwal et al.
 * 2012, Mergeable summaries). Counts by cluster are exact since the term has been here.
 */
export interface TermTable {
  /** The terms in UTF-8, a line break after each. */
  text: Uint8Array;
  /** By term: the number of texts that have it. */
  documents: Int32Array | Float64Array;
  credit: Int32Array | Float64Array;
  /** The number of clusters that have it. */
  entries: Int32Array;
  /** These clusters, ascending, of one term after the other, and how often each has it. */
  cluster: Int32Array;
  count: Int32Array | Uint32Array;
  /** By cluster: words that are no stop words and pairs of them, whether their terms were kept or not. */
  totals: Float64Array;
  error: number;
}

/** The (most+1)-th largest credit, which all others lose; 0 if there are no more. */
export const thresholdOf = (credits: Float64Array, most: number): number =>
  credits.length > most ? credits.slice().sort()[credits.length - 1 - most] : 0;

/** What is counted more often in a cluster, of 2³² texts or so, stays at that. */
const MOST_COUNTED = 2 ** 32 - 1;
const LINE_BREAK = 10;

/** Merges tables. The result depends on their order only where there are more than `most` terms. */
export function termMerger(k: number, most = MOST_TERMS) {
  // Arrays may be longer than what is in them: new ones for each table would be garbage of a hundred megabytes.
  let terms = 0;
  let text = new Uint8Array(1 << 16);
  /** Where each term begins in `text`, and where the last one ends. */
  let starts = new Int32Array(1);
  let documents = new Float64Array(0);
  let credit = new Float64Array(0);
  /** Where the clusters of each term begin, and those of the last one end. */
  let lists = new Int32Array(1);
  let cluster = new Int32Array(0);
  let count = new Uint32Array(0);
  /** Of the table before: the next one is written there. */
  let spare = { lists: new Int32Array(1), cluster: new Int32Array(0), count: new Uint32Array(0) };
  let slots = new Int32Array(1 << 10);
  const totals = new Float64Array(k);
  let error = 0;

  /** The slot of the term that lies at `from … to−1` of these bytes, or the free one for it. */
  function slotOf(bytes: Uint8Array, from: number, to: number): number {
    let hash = 0x811c9dc5;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    const mask = slots.length - 1;
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const term = slots[slot] - 1;
      if (term < 0) return slot;
      const at = starts[term];
      if (starts[term + 1] - at !== to - from) continue;
      let i = 0;
      while (i < to - from && text[at + i] === bytes[from + i]) i++;
      if (i === to - from) return slot;
    }
  }

  function rehash(size: number): void {
    slots = new Int32Array(size);
    for (let term = 0; term < terms; term++) slots[slotOf(text, starts[term], starts[term + 1])] = term + 1;
  }

  /** The number of each term of a table, of new ones the next. */
  function numbersOf(table: TermTable): Int32Array {
    const own = table.entries.length;
    text = withRoom(text, starts[terms] + table.text.length);
    starts = withRoom(starts, terms + own + 1);
    let size = slots.length;
    while (size < 2 * (terms + own)) size *= 2;
    if (size > slots.length) rehash(size);
    const numbers = new Int32Array(own);
    for (let i = 0, from = 0; i < own; i++) {
      const to = table.text.indexOf(LINE_BREAK, from);
      const slot = slotOf(table.text, from, to);
      if (!slots[slot]) {
        text.set(table.text.subarray(from, to), starts[terms]);
        starts[terms + 1] = starts[terms] + to - from;
        slots[slot] = ++terms;
      }
      numbers[i] = slots[slot] - 1;
      from = to + 1;
    }
    return numbers;
  }

  /** Adds the counts by cluster of terms with these numbers; `before`: the number of terms that have some. */
  function addCounts(table: TermTable, numbers: Int32Array, before: number): void {
    const where = new Int32Array(terms).fill(-1);
    const theirs = new Int32Array(numbers.length + 1);
    for (let i = 0; i < numbers.length; i++) {
      where[numbers[i]] = i;
      theirs[i + 1] = theirs[i] + table.entries[i];
    }
    const both = lists[before] + table.cluster.length;
    const next = {
      lists: withRoom(spare.lists, terms + 1),
      cluster: withRoom(spare.cluster, both),
      count: withRoom(spare.count, both),
    };
    next.lists[0] = 0;
    let at = 0;
    for (let term = 0; term < terms; term++) {
      let [a, aEnd] = term < before ? [lists[term], lists[term + 1]] : [0, 0];
      let [b, bEnd] = where[term] < 0 ? [0, 0] : [theirs[where[term]], theirs[where[term] + 1]];
      while (a < aEnd || b < bEnd) {
        const ours = a < aEnd ? cluster[a] : k;
        const other = b < bEnd ? table.cluster[b] : k;
        next.cluster[at] = Math.min(ours, other);
        const sum = (ours <= other ? count[a++] : 0) + (other <= ours ? table.count[b++] : 0);
        next.count[at] = Math.min(sum, MOST_COUNTED);
        at++;
      }
      next.lists[term + 1] = at;
    }
    spare = { lists, cluster, count };
    ({ lists, cluster, count } = next);
  }

  /** Takes the threshold from all credits, and leaves out what has none left. */
  function compact(): void {
    const threshold = thresholdOf(credit.subarray(0, terms), most);
    error += threshold;
    let [kept, bytes, at] = [0, 0, 0];
    for (let term = 0; term < terms; term++) {
      if (credit[term] <= threshold) continue;
      text.copyWithin(bytes, starts[term], starts[term + 1]);
      bytes += starts[term + 1] - starts[term];
      cluster.copyWithin(at, lists[term], lists[term + 1]);
      count.copyWithin(at, lists[term], lists[term + 1]);
      at += lists[term + 1] - lists[term];
      credit[kept] = credit[term] - threshold;
      documents[kept++] = documents[term];
      // Both lie at or before what is still to be read.
      starts[kept] = bytes;
      lists[kept] = at;
    }
    terms = kept;
    rehash(slots.length);
  }

  return {
    add(table: TermTable): void {
      const before = terms;
      const numbers = numbersOf(table);
      credit = withRoom(credit, terms).fill(0, before, terms);
      documents = withRoom(documents, terms).fill(0, before, terms);
      for (const [i, term] of numbers.entries()) {
        credit[term] += table.credit[i];
        documents[term] += table.documents[i];
      }
      addCounts(table, numbers, before);
      for (let c = 0; c < k; c++) totals[c] += table.totals[c];
      error += table.error;
      if (terms > most) compact();
    },
    /** The terms as strings, with where the clusters of each begin. It has the merger's memory: nothing can be added any more. */
    result() {
      spare = { lists: new Int32Array(0), cluster: new Int32Array(0), count: new Uint32Array(0) };
      slots = new Int32Array(0);
      const decoder = new TextDecoder();
      const names = Array.from({ length: terms }, (_, term) =>
        decoder.decode(text.subarray(starts[term], starts[term + 1])),
      );
      const size = lists[terms];
      return {
        terms: names,
        documents: documents.subarray(0, terms),
        lists: lists.subarray(0, terms + 1),
        cluster: cluster.subarray(0, size),
        count: count.subarray(0, size),
        totals,
        error,
      };
    },
  };
}

/** What a merger has found. */
export type MergedTerms = ReturnType<ReturnType<typeof termMerger>['result']>;

/** The array, or a longer one that begins like it, if it has less than `length` elements. */
function withRoom<A extends Uint8Array | Int32Array | Uint32Array | Float64Array>(
  array: A,
  length: number,
): A {
  if (length <= array.length) return array;
  const longer = new (array.constructor as new (length: number) => A)(Math.ceil(1.25 * length));
  longer.set(array);
  return longer;
}
