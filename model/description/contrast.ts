/** What tells a cluster apart: columns in which its rows differ from all others, and words of texts. */

export interface Contrast {
  /** From 0. */
  column: number;
  /** Mean of the cluster's rows less that of all others, in standard deviations of all rows. */
  difference: number;
  mean: number;
  /** Mean of all others. */
  rest: number;
}

/**
 * The columns with the largest differences, at most `most`, the largest first. `counts`: rows of each cluster, `sums` their sums by
 * column, `squares` Σx² of all rows by column. Columns that are constant differ nowhere; nor does anything where there is no other
 * row. `isMeant`: is a difference in this column to be named?
 */
export function contrastsOf(
  counts: readonly number[],
  sums: readonly Float64Array[],
  squares: Float64Array,
  most: number,
  isMeant: (column: number) => boolean = () => true,
): Contrast[][] {
  const rows = counts.reduce((a, b) => a + b, 0);
  const total = squares.map((_, j) => sums.reduce((sum, own) => sum + own[j], 0));
  const sd = squares.map((square, j) => deviation(rows, total[j], square));
  return counts.map((n, c) => {
    if (n === 0 || n === rows) return [];
    const all: Contrast[] = [];
    for (let column = 0; column < sd.length; column++) {
      if (!(sd[column] > 0) || !isMeant(column)) continue;
      const mean = sums[c][column] / n;
      const rest = (total[column] - sums[c][column]) / (rows - n);
      all.push({ column, mean, rest, difference: (mean - rest) / sd[column] });
    }
    all.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference) || a.column - b.column);
    return all.slice(0, most);
  });
}

/** Means that differ by less are alike, in standard deviations of all rows; and those that chance may have moved, in standard errors. */
const [SMALL_DIFFERENCE, CHANCE] = [0.1, 5];

/** The columns that vary, but whose mean is about the same in all clusters; arguments as of `contrastsOf`. */
export function alikeColumns(
  counts: readonly number[],
  sums: readonly Float64Array[],
  squares: Float64Array,
): number[] {
  const differences = contrastsOf(counts, sums, squares, squares.length).map((own, c) => {
    const least = Math.max(SMALL_DIFFERENCE, CHANCE / Math.sqrt(counts[c]));
    return own.map(({ column, difference }) => ({ column, isAlike: Math.abs(difference) < least }));
  });
  const all = new Set(differences.flat().map(({ column }) => column));
  for (const { column, isAlike } of differences.flat()) if (!isAlike) all.delete(column);
  return [...all].sort((a, b) => a - b);
}

/** Below this share of the mean square, a variance is what rounding has left. */
const ROUNDING = 1e-13;

function deviation(rows: number, sum: number, square: number): number {
  const variance = square / rows - (sum / rows) ** 2;
  return variance > (ROUNDING * square) / rows ? Math.sqrt(variance) : 0;
}

/** The words that tell clusters of texts apart: class-based tf-idf (Grootendorst 2022, BERTopic). */

export interface TellingWord {
  word: string;
  /** Its class-based tf-idf. */
  weight: number;
}

/** How many times as frequent a word has to be in a cluster as in the others: words that are as frequent everywhere tell nothing. */
const LEAST_RATIO = 1.5;
/**
 * That of a stop word: texts in a conversational tone have more of "you" and "I" whatever they are about, but lists of stop words also
 * have words such as "computer" that a topic may be about.
 */
const STOP_WORD_RATIO = 8;

export function wordCounter(k: number) {
  const clusters = Array.from({ length: k }, () => new Map<string, number>());
  return {
    add(cluster: number, words: readonly string[]): void {
      const own = clusters[cluster];
      for (const word of words) own.set(word, (own.get(word) ?? 0) + 1);
    },
    /** Of each cluster at most so many, the most telling ones first. `stopWordsOf`: by how often each word is in all texts. */
    telling: (most: number, stopWordsOf: (frequency: ReadonlyMap<string, number>) => ReadonlySet<string>) =>
      tellingWords(clusters, most, stopWordsOf),
  };
}

/**
 * W = f_wc / f_c · log(1 + A / f_w), where f_wc is how often word w is in the texts of cluster c, f_c and f_w are the sums over words and
 * over clusters, and A is the mean of f_c.
 */
function tellingWords(
  clusters: readonly Map<string, number>[],
  most: number,
  stopWordsOf: (frequency: ReadonlyMap<string, number>) => ReadonlySet<string>,
): TellingWord[][] {
  const totals = clusters.map((own) => [...own.values()].reduce((a, b) => a + b, 0));
  const all = totals.reduce((a, b) => a + b, 0);
  const mean = all / clusters.length;
  const frequency = new Map<string, number>();
  for (const own of clusters)
    for (const [word, count] of own) frequency.set(word, (frequency.get(word) ?? 0) + count);
  const stopWords = stopWordsOf(frequency);
  return clusters.map((own, c) => {
    const found: TellingWord[] = [];
    for (const [word, count] of own) {
      const elsewhere = frequency.get(word)! - count;
      const ratio = stopWords.has(word) ? STOP_WORD_RATIO : LEAST_RATIO;
      if (count * (all - totals[c]) < ratio * elsewhere * totals[c]) continue;
      found.push({ word, weight: (count / totals[c]) * Math.log1p(mean / frequency.get(word)!) });
    }
    found.sort((a, b) => b.weight - a.weight || (a.word < b.word ? -1 : 1));
    return found.slice(0, most);
  });
}
