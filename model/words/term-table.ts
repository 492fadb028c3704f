/** How often terms are in the texts of each cluster: tables of parts of the rows, which are merged into one of all. */

/** The most terms of a table. */
export const MOST_TERMS = 1 << 18;

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
  count: Int32Array | Float64Array;
  /** By cluster: words that are no stop words and pairs of them, whether their terms were kept or not. */
  totals: Float64Array;
  error: number;
}

/** The (most+1)-th largest credit, which all others lose; 0 if there are no more. */
export const thresholdOf = (credits: Float64Array, most: number): number =>
  credits.length > most ? credits.slice().sort()[credits.length - 1 - most] : 0;

const LINE_BREAK = 10;

/** Merges tables. The result depends on their order only where there are more than `most` terms. */
export function termMerger(k: number, most = MOST_TERMS) {
  let terms = 0;
  let text = new Uint8Array(1 << 16);
  /** Where each term begins in `text`, and where the last one ends. */
  let starts = new Int32Array(1);
  let documents = new Float64Array(0);
  let credit = new Float64Array(0);
  /** Where the clusters of each term begin. */
  let lists = new Int32Array(1);
  let cluster = new Int32Array(0);
  let count = new Float64Array(0);
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
    const longest = starts[terms] + table.text.length;
    if (longest > text.length) text = extended(text, Math.max(longest, 2 * text.length));
    starts = extended(starts, terms + own + 1);
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

  /** Adds the counts by cluster of terms with these numbers. */
  function addCounts(table: TermTable, numbers: Int32Array): void {
    const before = lists.length - 1;
    const where = new Int32Array(terms).fill(-1);
    const theirs = new Int32Array(numbers.length + 1);
    for (let i = 0; i < numbers.length; i++) {
      where[numbers[i]] = i;
      theirs[i + 1] = theirs[i] + table.entries[i];
    }
    const both = cluster.length + table.cluster.length;
    const next = {
      lists: new Int32Array(terms + 1),
      cluster: new Int32Array(both),
      count: new Float64Array(both),
    };
    let at = 0;
    for (let term = 0; term < terms; term++) {
      let [a, aEnd] = term < before ? [lists[term], lists[term + 1]] : [0, 0];
      let [b, bEnd] = where[term] < 0 ? [0, 0] : [theirs[where[term]], theirs[where[term] + 1]];
      while (a < aEnd || b < bEnd) {
        const ours = a < aEnd ? cluster[a] : k;
        const other = b < bEnd ? table.cluster[b] : k;
        next.cluster[at] = Math.min(ours, other);
        next.count[at] = (ours <= other ? count[a++] : 0) + (other <= ours ? table.count[b++] : 0);
        at++;
      }
      next.lists[term + 1] = at;
    }
    lists = next.lists;
    cluster = next.cluster.slice(0, at);
    count = next.count.slice(0, at);
  }

  /** Takes the threshold from all credits, and leaves out what has none left. */
  function compact(): void {
    const threshold = thresholdOf(credit, most);
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
    [starts, lists] = [starts.slice(0, kept + 1), lists.slice(0, kept + 1)];
    [credit, documents] = [credit.slice(0, kept), documents.slice(0, kept)];
    [cluster, count] = [cluster.slice(0, at), count.slice(0, at)];
    rehash(slots.length);
  }

  return {
    add(table: TermTable): void {
      const numbers = numbersOf(table);
      credit = extended(credit, terms);
      documents = extended(documents, terms);
      for (const [i, term] of numbers.entries()) {
        credit[term] += table.credit[i];
        documents[term] += table.documents[i];
      }
      addCounts(table, numbers);
      for (let c = 0; c < k; c++) totals[c] += table.totals[c];
      error += table.error;
      if (terms > most) compact();
    },
    /** The terms as strings, with where the clusters of each begin; it shares the merger's memory. */
    result() {
      const decoder = new TextDecoder();
      const names = Array.from({ length: terms }, (_, term) =>
        decoder.decode(text.subarray(starts[term], starts[term + 1])),
      );
      return { terms: names, documents, lists, cluster, count, totals, error };
    },
  };
}

/** What a merger has found. */
export type MergedTerms = ReturnType<ReturnType<typeof termMerger>['result']>;

/** An array that begins like this one, of another length. */
function extended<A extends Uint8Array | Int32Array | Float64Array>(array: A, length: number): A {
  const other = new (array.constructor as new (length: number) => A)(length);
  other.set(array.subarray(0, length));
  return other;
}
