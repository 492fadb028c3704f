import { munkres } from 'munkres';

/** How well two labellings of the same rows agree, or clusters hold together: NMI, ARI, accuracy, silhouette, Jaccard. Codes and distances come in, not files. */

/** A contingency table: the number of rows with each pair of predicted and true label. */
export interface Contingency {
  /** Number of rows counted. */
  readonly rows: number;
  /** The numbers of predicted and of true codes that occur in at least one row. */
  readonly clusters: number;
  readonly classes: number;
  /** `counts[p][t]`: rows with the p-th occurring predicted code and the t-th occurring true code. */
  readonly counts: readonly Float64Array[];
}

/**
 * Builds a contingency table from batches of rows of any size. Its memory is proportional to (largest predicted code) × (largest true
 * code).
 */
export function contingencyCounter() {
  let [height, width] = [0, 0];
  let counts = new Float64Array(0);
  let rows = 0;
  const grow = (needHeight: number, needWidth: number): void => {
    if (needHeight <= height && needWidth <= width) return;
    const [oldWidth, old] = [width, counts];
    height = Math.max(height, needHeight);
    width = Math.max(width, needWidth);
    counts = new Float64Array(height * width);
    for (let p = 0; p * oldWidth < old.length; p++)
      counts.set(old.subarray(p * oldWidth, (p + 1) * oldWidth), p * width);
  };
  return {
    /** Adds a batch: two arrays of codes ≥ 0 of equal length; RangeError otherwise. */
    add(pred: ArrayLike<number>, truth: ArrayLike<number>): void {
      if (pred.length !== truth.length)
        throw new RangeError(`${pred.length} predicted labels, but ${truth.length} true labels`);
      grow(largestCode(pred) + 1, largestCode(truth) + 1);
      for (let i = 0; i < pred.length; i++) counts[pred[i] * width + truth[i]]++;
      rows += pred.length;
    },
    /** `order`: the predicted codes in the order of the table's rows; by default from 0 on. */
    table: (order: readonly number[] = [...Array(height).keys()]): Contingency =>
      occurringOnly(rows, counts, width, order),
  };
}

function largestCode(codes: ArrayLike<number>): number {
  let largest = -1;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (!(code >= 0 && code === Math.floor(code)))
      throw new RangeError(`label code ${code} at row ${i} is not an integer ≥ 0`);
    if (code > largest) largest = code;
  }
  return largest;
}

function occurringOnly(
  rows: number,
  counts: Float64Array,
  width: number,
  order: readonly number[],
): Contingency {
  const lines = order.map((p) => counts.subarray(p * width, (p + 1) * width)).filter((line) => sum(line) > 0);
  const columns = [...Array(width).keys()].filter((t) => lines.some((line) => line[t] > 0));
  return {
    rows,
    clusters: lines.length,
    classes: columns.length,
    counts: lines.map((line) => Float64Array.from(columns, (t) => line[t])),
  };
}

/**
 * The contingency table of two labellings of the same rows, given as codes 0, 1, …; codes that do not occur are left out.
 */
export function contingency(pred: ArrayLike<number>, truth: ArrayLike<number>): Contingency {
  const counter = contingencyCounter();
  counter.add(pred, truth);
  return counter.table();
}

const sum = (values: Float64Array | number[]): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

const marginals = ({ counts, classes }: Contingency) => ({
  pred: counts.map(sum),
  truth: Array.from({ length: classes }, (_, t) => sum(counts.map((line) => line[t]))),
});

/**
 * Normalised mutual information, in [0, 1]: I(pred; truth) over the arithmetic mean of the two entropies
 * (scikit-learn's `normalized_mutual_info_score`). 1 where both labellings are constant or there are no rows.
 */
export function nmi(table: Contingency): number {
  const { rows, clusters, classes, counts } = table;
  if (clusters === classes && clusters <= 1) return 1;
  const { pred, truth } = marginals(table);
  let information = 0;
  counts.forEach((line, p) => {
    line.forEach((n, t) => {
      if (n > 0) information += (n / rows) * Math.log((n / pred[p]) * (rows / truth[t]));
    });
  });
  return normalised(information, pred, truth, rows);
}

/**
 * `nmi` of two labellings of the same rows, given as codes ≥ 0. Memory is proportional to the number of rows and to the
 * largest code, not to its square: for thousands of clusters.
 */
export function nmiOfLabels(pred: Int32Array, truth: Int32Array): number {
  const rows = pred.length;
  const width = largestCode(truth) + 1;
  const [predSizes, truthSizes] = [sizesOf(pred), sizesOf(truth)];
  if (predSizes.filter(Boolean).length <= 1 && truthSizes.filter(Boolean).length <= 1) return 1;
  const pairs = Float64Array.from(pred, (p, i) => p * width + truth[i]).sort();
  let information = 0;
  for (let i = 0, next = 0; i < rows; i = next) {
    while (next < rows && pairs[next] === pairs[i]) next++;
    const n = next - i;
    const [p, t] = [Math.floor(pairs[i] / width), pairs[i] % width];
    information += (n / rows) * Math.log((n / predSizes[p]) * (rows / truthSizes[t]));
  }
  return normalised(information, predSizes, truthSizes, rows);
}

function sizesOf(codes: Int32Array): number[] {
  const sizes = Array<number>(largestCode(codes) + 1).fill(0);
  for (const code of codes) sizes[code]++;
  return sizes;
}

/** Mutual information over the mean entropy of two labellings with these numbers of rows in each cluster. */
function normalised(information: number, pred: number[], truth: number[], rows: number): number {
  const entropy = (sizes: number[]) => -sum(sizes.map((n) => (n > 0 ? (n / rows) * Math.log(n / rows) : 0)));
  if (information <= Number.EPSILON) return 0;
  return Math.min(1, information / ((entropy(pred) + entropy(truth)) / 2));
}

/**
 * Adjusted Rand index, in [−½, 1] (Hubert & Arabie 1985; scikit-learn's `adjusted_rand_score`). 1 where the two
 * partitions are the same or there are fewer than two rows. Pair counts are exact up to 2⁵³ (some 9·10⁷ rows) and
 * rounded to float64 above.
 */
export function ari(table: Contingency): number {
  const { pred, truth } = marginals(table);
  return ariOf(sum(table.counts.map((line) => sum(line.map(pairs)))), pred, truth, table.rows);
}

/** From the number of pairs of rows that both partitions put together, and the sizes of their parts. */
function ariOf(both: number, pred: number[], truth: number[], rows: number): number {
  const inPred = sum(pred.map(pairs));
  const inTruth = sum(truth.map(pairs));
  if (both === inPred && both === inTruth) return 1;
  const expected = inPred * (inTruth / pairs(rows));
  return (both - expected) / ((inPred + inTruth) / 2 - expected);
}

const pairs = (n: number) => (n * (n - 1)) / 2;

/**
 * `ari` of two labellings of the same rows, given as codes ≥ 0, with time and memory in proportion to the rows and the largest
 * codes.
 */
export function ariOfLabels(pred: Int32Array, truth: Int32Array): number {
  const [predSizes, truthSizes] = [sizesOf(pred), sizesOf(truth)];
  // The true codes, one predicted cluster after the other.
  const ends = Int32Array.from(predSizes);
  for (let p = 1; p < ends.length; p++) ends[p] += ends[p - 1];
  const next = ends.map((end, p) => end - predSizes[p]);
  const codes = new Int32Array(truth.length);
  for (let i = 0; i < codes.length; i++) codes[next[pred[i]]++] = truth[i];
  const seen = new Int32Array(truthSizes.length);
  let both = 0;
  for (let p = 0, from = 0; p < ends.length; from = ends[p++]) {
    // Each row makes a pair with those before it in its cell of the table.
    for (let i = from; i < ends[p]; i++) both += seen[codes[i]]++;
    for (let i = from; i < ends[p]; i++) seen[codes[i]] = 0;
  }
  return ariOf(both, predSizes, truthSizes, pred.length);
}

/**
 * Clustering accuracy, in [0, 1]: the fraction of rows that agree under the best one-to-one matching of clusters to
 * classes (Hungarian algorithm); surplus clusters or classes are unmatched. 1 where there are no rows.
 */
export function accuracy({ rows, counts }: Contingency): number {
  if (rows === 0) return 1;
  return sum(matched(counts).map(([p, t]) => counts[p][t])) / rows;
}

/** Pairs of a line and a column of a table, each in one at most, of the largest sum (Hungarian algorithm). */
export const matched = (counts: readonly Float64Array[]): [number, number][] =>
  munkres(counts.map((line) => line.map((n) => -n)));

/**
 * Mean silhouette of rows under a labelling, in [−1, 1] (Rousseeuw 1987; scikit-learn's `silhouette_score`): the mean over
 * rows of (b − a)/max(a, b), where a is the mean Euclidean distance to the other rows of the same cluster and b the
 * smallest mean distance to the rows of another cluster; 0 for a row that is alone in its cluster.
 * Takes O(n²·dim) time and O(n·K) memory: for samples of a few thousand rows.
 *
 * @param rows n × dim, row-major
 * @param labels n codes ≥ 0
 * @returns null where it is undefined: fewer than two clusters, or as many clusters as rows
 */
export function silhouette(
  rows: Float32Array | Float64Array,
  dim: number,
  labels: ArrayLike<number>,
): number | null {
  const n = labels.length;
  if (rows.length !== n * dim) throw new RangeError(`${rows.length} numbers, expected ${n} rows of ${dim}`);
  const { codes, sizes } = toDenseCodes(labels);
  const clusters = sizes.length;
  if (clusters < 2 || clusters === n) return null;

  const distances = distanceSums(Float64Array.from(rows), dim, codes, clusters);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const own = codes[i];
    if (sizes[own] === 1) continue;
    const within = distances[i * clusters + own] / (sizes[own] - 1);
    let nearest = Number.POSITIVE_INFINITY;
    for (let k = 0; k < clusters; k++) {
      if (k !== own) nearest = Math.min(nearest, distances[i * clusters + k] / sizes[k]);
    }
    const larger = Math.max(within, nearest);
    if (larger > 0) total += (nearest - within) / larger;
  }
  return total / n;
}

/** The labels renumbered 0 … K−1 in order of appearance, and the number of rows with each. */
function toDenseCodes(labels: ArrayLike<number>): { codes: Int32Array; sizes: number[] } {
  const codeOf = new Map<number, number>();
  const sizes: number[] = [];
  const codes = Int32Array.from(labels, (label) => {
    const code = codeOf.get(label) ?? codeOf.size;
    codeOf.set(label, code);
    sizes[code] = (sizes[code] ?? 0) + 1;
    return code;
  });
  return { codes, sizes };
}

/** n × K: the sum of Euclidean distances from each row to the rows of each cluster. */
function distanceSums(x: Float64Array, dim: number, codes: Int32Array, clusters: number): Float64Array {
  const sums = new Float64Array(codes.length * clusters);
  for (let i = 0; i < codes.length; i++) {
    for (let j = i + 1; j < codes.length; j++) {
      let square = 0;
      for (let a = i * dim, b = j * dim; a < (i + 1) * dim; a++, b++) {
        const difference = x[a] - x[b];
        square += difference * difference;
      }
      const distance = Math.sqrt(square);
      sums[i * clusters + codes[j]] += distance;
      sums[j * clusters + codes[i]] += distance;
    }
  }
  return sums;
}

/**
 * The largest Jaccard coefficient of each of the k clusters and one of another clustering of the same rows: rows in both by rows in one of
 * them, 1 where it came back (Hennig 2007, *Cluster-wise assessment of cluster stability*). Null for clusters without rows.
 */
export function jaccards(labels: Int32Array, others: Int32Array, k: number): (number | null)[] {
  const widest = 1 + others.reduce((a, b) => Math.max(a, b), -1);
  const both = new Float64Array(k * widest);
  for (let i = 0; i < labels.length; i++) both[labels[i] * widest + others[i]]++;
  const table = Array.from({ length: k }, (_, c) => both.subarray(c * widest, (c + 1) * widest));
  const sizes = Array.from({ length: widest }, (_, j) => table.reduce((sum, own) => sum + own[j], 0));
  return table.map((own) => {
    const rows = own.reduce((a, b) => a + b, 0);
    return rows ? own.reduce((most, n, j) => Math.max(most, n / (rows + sizes[j] - n)), 0) : null;
  });
}
