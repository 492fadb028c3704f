/**
 * The most likely partition of a weighted graph under the degree-corrected planted-partition model, in which it is that of
 * largest modularity at resolution γ (Newman 2016, *Equivalence between modularity optimization and maximum likelihood
 * methods for community detection*); found by the Louvain method (Blondel et al. 2008).
 */
import { type Rng, shuffledPrefix } from '../random.ts';
import { degrees, type Graph } from './weights.ts';

/** Gains below this, relative to the node's degree, are rounding errors: without it, nodes could move in circles. */
const LEAST_GAIN = 1e-10;

/**
 * The objective: Σ_c within_c/total − γ·(volume_c/total)², with within_c the weight between rows of c (each edge twice),
 * volume_c the sum of their degrees, and total that of all. 1 − γ for a single cluster; 0 without edges.
 *
 * @param labels n codes ≥ 0
 */
export function quality(graph: Graph, labels: Int32Array, gamma: number): number {
  const { starts, index, weight } = graph;
  const n = labels.length;
  let clusters = 0;
  for (let i = 0; i < n; i++) clusters = Math.max(clusters, labels[i] + 1);
  const volume = new Float64Array(clusters);
  let [within, total] = [0, 0];
  for (let i = 0; i < n; i++)
    for (let e = starts[i]; e < starts[i + 1]; e++) {
      total += weight[e];
      volume[labels[i]] += weight[e];
      if (labels[index[e]] === labels[i]) within += weight[e];
    }
  if (total === 0) return 0;
  let squares = 0;
  for (const v of volume) squares += (v / total) ** 2;
  return within / total - gamma * squares;
}

/**
 * A partition of large quality, which no union of two clusters raises: row moves, then moves of whole clusters on the graph
 * between them, until nothing moves; then again from the partition found, as rows may gain by moving once clusters are joined.
 * Moving i from c to l gains w_il − w_ic − γ·d_i·(volume_l − volume_c + d_i)/total, half of total times what `quality` gains.
 * Rows without edges are clusters of their own. O(edges) for each pass, of which there are a few.
 *
 * @param iterations how often at most; it ends when one changes nothing
 * @param start labels from 0 on, below n, from which it begins; by default each row is a cluster
 * @returns the rows' labels 0 … K−1, numbered in order of first appearance
 */
export const partition = (...args: Parameters<typeof partitionInSteps>): Int32Array =>
  ended(partitionInSteps(...args));

/** What steps return in the end. */
export function ended<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same in steps, each a pass over the rows or what stands for them. */
export function* partitionInSteps(
  graph: Graph,
  gamma: number,
  rng: Rng,
  iterations = 2,
  start: Int32Array | null = null,
): Generator<void, Int32Array> {
  const degree = degrees(graph);
  let total = 0;
  for (const d of degree) total += d;
  const penalty = total > 0 ? gamma / total : 0;
  let labels: Int32Array = start ?? numbered(degree.length);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const found = yield* climb({ graph, degree }, labels, penalty, rng);
    const isSame = found.every((label, i) => label === labels[i]);
    labels = found;
    if (isSame) break;
  }
  return labels;
}

/** Nodes of a level, with their degrees: those of the rows that they stand for, weights between these included. */
export interface Level {
  readonly graph: Graph;
  readonly degree: Float64Array;
}

/**
 * One iteration, from these labels of the rows, below their number; those that it returns are numbered from 0. `penalty`: γ over the sum of all
 * degrees, of which the rows here may have a part.
 */
export function* climb(
  rows: Level,
  from: Int32Array,
  penalty: number,
  rng: Rng,
): Generator<void, Int32Array> {
  let level = rows;
  let labels = from.slice();
  let found: Int32Array = labels;
  for (let depth = 0; ; depth++) {
    yield;
    const moves = moveNodes(level, labels, penalty, rng);
    if (depth > 0 && moves === 0) return found;
    const clusters = renumber(labels);
    found = depth === 0 ? labels : found.map((node) => labels[node]);
    if (clusters <= 1) return found;
    level = aggregated(level, labels, clusters);
    labels = numbered(clusters);
  }
}

export const numbered = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

/** Numbers labels below n in order of first appearance, in place. Returns how many there are. */
function renumber(labels: Int32Array): number {
  const number = new Int32Array(labels.length).fill(-1);
  let count = 0;
  for (let i = 0; i < labels.length; i++) {
    if (number[labels[i]] < 0) number[labels[i]] = count++;
    labels[i] = number[labels[i]];
  }
  return count;
}

/**
 * Moves nodes to the neighbouring cluster that gains most, in place, until none gains; after a move, only the node's neighbours
 * are looked at again (Ozaki, Tezuka & Inaba 2016). Returns the number of moves.
 */
function moveNodes({ graph, degree }: Level, labels: Int32Array, penalty: number, rng: Rng): number {
  const { starts, index, weight } = graph;
  const n = labels.length;
  const volume = new Float64Array(n);
  let longest = 0;
  for (let i = 0; i < n; i++) {
    volume[labels[i]] += degree[i];
    longest = Math.max(longest, starts[i + 1] - starts[i]);
  }
  // The weight between the node and each cluster: 0 but for those in `near`, which has a place to spare.
  const shared = new Float64Array(n);
  const near = new Int32Array(longest + 1);
  const queue = Int32Array.from(shuffledPrefix(rng, n, n));
  const isQueued = new Uint8Array(n).fill(1);
  let moves = 0;
  for (let head = 0, size = n; size > 0; size--) {
    const i = queue[head];
    head = head + 1 === n ? 0 : head + 1;
    isQueued[i] = 0;
    const [own, d, from, to] = [labels[i], degree[i], starts[i], starts[i + 1]];
    let count = 0;
    for (let e = from; e < to; e++) {
      const label = labels[index[e]];
      const before = shared[label];
      shared[label] = before + weight[e];
      near[count] = label;
      // Not a branch, which would be mispredicted half of the time: a quarter faster.
      count += Number(before === 0);
    }
    volume[own] -= d;
    const factor = penalty * d;
    const least = LEAST_GAIN * d;
    let best = own;
    let most = shared[own] - factor * volume[own];
    for (let a = 0; a < count; a++) {
      const label = near[a];
      const gain = shared[label] - factor * volume[label];
      shared[label] = 0;
      if (gain > most + least) {
        most = gain;
        best = label;
      }
    }
    volume[best] += d;
    if (best === own) continue;
    labels[i] = best;
    moves++;
    for (let e = from; e < to; e++) {
      const j = index[e];
      if (isQueued[j] || labels[j] === best) continue;
      isQueued[j] = 1;
      const tail = head + size - 1;
      queue[tail >= n ? tail - n : tail] = j;
      size++;
    }
  }
  return moves;
}

/** The level whose nodes are the clusters 0 … `clusters`−1. The weight within one is in its degree alone. */
export function aggregated({ graph, degree }: Level, labels: Int32Array, clusters: number): Level {
  const { starts, index, weight } = graph;
  const n = labels.length;
  const first = new Int32Array(clusters + 1);
  for (let i = 0; i < n; i++) first[labels[i] + 1]++;
  for (let c = 0; c < clusters; c++) first[c + 1] += first[c];
  const members = new Int32Array(n);
  const next = first.slice();
  for (let i = 0; i < n; i++) members[next[labels[i]]++] = i;

  const between = { index: new Int32Array(index.length), weight: new Float64Array(index.length) };
  const edges = new Int32Array(clusters + 1);
  const sums = new Float64Array(clusters);
  // Where each cluster's edge is, if it is at or after the first of the row.
  const place = new Int32Array(clusters).fill(-1);
  let end = 0;
  for (let c = 0; c < clusters; c++) {
    const row = end;
    for (let m = first[c]; m < first[c + 1]; m++) {
      const i = members[m];
      sums[c] += degree[i];
      for (let e = starts[i]; e < starts[i + 1]; e++) {
        const label = labels[index[e]];
        if (label === c) continue;
        if (place[label] < row) {
          place[label] = end;
          between.index[end++] = label;
        }
        between.weight[place[label]] += weight[e];
      }
    }
    edges[c + 1] = end;
  }
  return {
    graph: { starts: edges, index: between.index.slice(0, end), weight: between.weight.slice(0, end) },
    degree: sums,
  };
}
