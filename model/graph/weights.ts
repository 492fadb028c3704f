/** The weighted graph of the rows' nearest neighbours. */

/**
 * An undirected weighted graph, in compressed rows: the neighbours of row i are index[starts[i] … starts[i+1]−1], ascending and
 * without i itself. It is symmetric: each edge is there twice, with the same weight (> 0).
 */
export interface Graph {
  readonly starts: Int32Array;
  readonly index: Int32Array;
  readonly weight: Float64Array;
}

/** A graph with the sum of each row's weights, and that of all rows. */
export interface DegreeGraph {
  readonly graph: Graph;
  readonly degree: Float64Array;
  readonly total: number;
  /** The first row of each shard, and the end. */
  readonly starts: Int32Array;
}

/** Newton's steps at most; about six are needed, and a few dozen where distances differ by orders of magnitude. */
const MOST_STEPS = 100;
/** A relative step below which it has converged. */
const CONVERGED = 1e-13;

/**
 * UMAP's weights of each row's k nearest neighbours (McInnes, Healy & Melville 2018, section 3.1): w = exp(−(d − d₁)/s), with
 * d₁ the distance of the first and s such that Σw = log₂ k. Where so many are as near as the first that the sum is larger for
 * any s, it is the limit s → 0: 1 for these and 0 for the others. Each row's weights depend on that row alone.
 *
 * @param distance [n, k], finite, each row ascending and without the row itself
 * @returns [n, k]
 */
export function directedWeights(distance: Float32Array, k: number): Float64Array {
  const weight = new Float64Array(distance.length);
  for (let start = 0; start < distance.length; start += k) {
    const inverse = inverseScale(distance, start, k);
    for (let e = start; e < start + k; e++) {
      const beyond = distance[e] - distance[start];
      weight[e] = beyond > 0 ? Math.exp(-beyond * inverse) : 1;
    }
  }
  return weight;
}

/** 1/s of the row that starts there. */
function inverseScale(distance: Float32Array, start: number, k: number): number {
  const [first, end] = [distance[start], start + k];
  let beyond = 0;
  let total = 0;
  for (let e = start; e < end; e++) {
    if (!(distance[e] > first)) continue;
    beyond++;
    total += distance[e] - first;
  }
  const wanted = Math.log2(k) - (k - beyond);
  if (!(wanted > 0)) return Infinity;
  // The logarithm of the sum over those beyond the first is convex in 1/s and, by Jensen's inequality, not below the wanted one
  // at this start: Newton's steps rise towards the solution and do not pass it.
  let inverse = (Math.log(beyond / wanted) * beyond) / total;
  for (let step = 0; step < MOST_STEPS; step++) {
    let [sum, slope] = [0, 0];
    for (let e = start; e < end; e++) {
      const d = distance[e] - first;
      if (!(d > 0)) continue;
      const w = Math.exp(-d * inverse);
      sum += w;
      slope += w * d;
    }
    const by = (Math.log(sum / wanted) * sum) / slope;
    inverse += by;
    if (!(by > CONVERGED * inverse)) break;
  }
  return inverse;
}

/**
 * The undirected graph of the neighbours: w + w′ − w·w′ of the weights in both directions, where a missing one is 0 (UMAP's
 * union of fuzzy sets). Edges of weight 0 are left out.
 *
 * @param index [n, k]: rows, different from each other and from the row itself; RangeError if one is not a row, or itself
 * @param weight [n, k], in [0, 1]
 */
export function symmetrized(index: Int32Array, weight: Float64Array, k: number): Graph {
  const n = index.length / k;
  for (let e = 0; e < index.length; e++)
    if (!(index[e] >= 0 && index[e] < n) || index[e] === Math.floor(e / k))
      throw new RangeError(`row ${Math.floor(e / k)} of ${n} cannot have row ${index[e]} as a neighbour`);
  // Transposing sorts each row, as rows are read in order.
  const regular = Int32Array.from({ length: n + 1 }, (_, i) => i * k);
  const back = transposed({ starts: regular, index, weight });
  const forth = transposed(back);
  const starts = new Int32Array(n + 1);
  const merged = { index: new Int32Array(2 * index.length), weight: new Float64Array(2 * index.length) };
  let end = 0;
  for (let i = 0; i < n; i++) {
    let [f, b] = [forth.starts[i], back.starts[i]];
    const [fEnd, bEnd] = [forth.starts[i + 1], back.starts[i + 1]];
    while (f < fEnd || b < bEnd) {
      const j = Math.min(f < fEnd ? forth.index[f] : n, b < bEnd ? back.index[b] : n);
      const w = f < fEnd && forth.index[f] === j ? forth.weight[f++] : 0;
      const reverse = b < bEnd && back.index[b] === j ? back.weight[b++] : 0;
      const union = w + reverse - w * reverse;
      if (!(union > 0)) continue;
      merged.index[end] = j;
      merged.weight[end++] = union;
    }
    starts[i + 1] = end;
  }
  return { starts, index: merged.index.slice(0, end), weight: merged.weight.slice(0, end) };
}

/** The same edges the other way round; each row's are ascending. */
function transposed({ starts, index, weight }: Graph): Graph {
  const n = starts.length - 1;
  const back = new Int32Array(n + 1);
  for (let e = 0; e < index.length; e++) back[index[e] + 1]++;
  for (let i = 0; i < n; i++) back[i + 1] += back[i];
  const next = back.slice();
  const to = { index: new Int32Array(index.length), weight: new Float64Array(index.length) };
  for (let i = 0; i < n; i++)
    for (let e = starts[i]; e < starts[i + 1]; e++) {
      const at = next[index[e]]++;
      to.index[at] = i;
      to.weight[at] = weight[e];
    }
  return { starts: back, ...to };
}

/** The graph of rows that stand for `sizes` rows each: an edge counts once for each pair of these. */
export function multiplied({ starts, index, weight }: Graph, sizes: Int32Array): Graph {
  const products = weight.slice();
  for (let i = 0; i < sizes.length; i++)
    for (let e = starts[i]; e < starts[i + 1]; e++) products[e] *= sizes[i] * sizes[index[e]];
  return { starts, index, weight: products };
}

/** The sum of each row's weights. */
export function degrees({ starts, weight }: Graph): Float64Array {
  const sums = new Float64Array(starts.length - 1);
  for (let i = 0; i < sums.length; i++) for (let e = starts[i]; e < starts[i + 1]; e++) sums[i] += weight[e];
  return sums;
}

/** The graph among these rows (ascending), which are numbered from 0. */
export function subgraph({ starts, index, weight }: Graph, rows: Int32Array): Graph {
  const place = new Int32Array(starts.length - 1).fill(-1);
  for (let r = 0; r < rows.length; r++) place[rows[r]] = r;
  const among = new Int32Array(rows.length + 1);
  let most = 0;
  for (let r = 0; r < rows.length; r++) most += starts[rows[r] + 1] - starts[rows[r]];
  const kept = { index: new Int32Array(most), weight: new Float64Array(most) };
  let end = 0;
  for (let r = 0; r < rows.length; r++) {
    for (let e = starts[rows[r]]; e < starts[rows[r] + 1]; e++) {
      const at = place[index[e]];
      if (at < 0) continue;
      kept.index[end] = at;
      kept.weight[end++] = weight[e];
    }
    among[r + 1] = end;
  }
  return { starts: among, index: kept.index.slice(0, end), weight: kept.weight.slice(0, end) };
}
