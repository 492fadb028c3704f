// Shared by the tests of the graph likelihood: small graphs, nearest neighbours and memberships by definition.
import { keepLargest, type Memberships } from '../../../model/graph/mean-field.ts';
import type { Graph } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';

/** The graph of these edges [i, j, weight], each given once. */
export function graphOf(n: number, edges: readonly (readonly [number, number, number])[]): Graph {
  const rows = Array.from({ length: n }, (): [number, number][] => []);
  for (const [i, j, weight] of edges) {
    rows[i].push([j, weight]);
    rows[j].push([i, weight]);
  }
  for (const row of rows) row.sort(([a], [b]) => a - b);
  const starts = new Int32Array(n + 1);
  for (const [i, row] of rows.entries()) starts[i + 1] = starts[i] + row.length;
  return {
    starts,
    index: Int32Array.from(rows.flat(), ([j]) => j),
    weight: Float64Array.from(rows.flat(), ([, weight]) => weight),
  };
}

/** A graph as the full matrix of its weights. */
export function matrixOf({ starts, index, weight }: Graph): number[][] {
  const n = starts.length - 1;
  const matrix = Array.from({ length: n }, () => Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) for (let e = starts[i]; e < starts[i + 1]; e++) matrix[i][index[e]] = weight[e];
  return matrix;
}

/** A random graph in which rows i and j have an edge with probability `chance(i, j)`, of random weight. */
export function randomGraph(seed: number, n: number, chance: (i: number, j: number) => number): Graph {
  const rng = generator(BigInt(seed), 'random-graph');
  const edges: [number, number, number][] = [];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) if (rng.uniform() < chance(i, j)) edges.push([i, j, 0.1 + rng.uniform()]);
  return graphOf(n, edges);
}

/** The k nearest other rows of each of n×D rows, nearest first, and their distances; both [n, k]. Columns may be periodic. */
export function nearest(
  rows: ArrayLike<number>,
  d: number,
  k: number,
  period = Infinity,
): { index: Int32Array; distance: Float32Array } {
  const n = rows.length / d;
  const index = new Int32Array(n * k);
  const distance = new Float32Array(n * k).fill(Infinity);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      let squares = 0;
      for (let c = 0; c < d; c++) {
        const by = Math.abs(rows[i * d + c] - rows[j * d + c]);
        squares += Math.min(by, period - by) ** 2;
      }
      const apart = Math.fround(Math.sqrt(squares));
      let at = (i + 1) * k - 1;
      if (!(apart < distance[at])) continue;
      for (; at > i * k && apart < distance[at - 1]; at--) {
        distance[at] = distance[at - 1];
        index[at] = index[at - 1];
      }
      distance[at] = apart;
      index[at] = j;
    }
  return { index, distance };
}

/** Random memberships of n rows, in up to `kept` of `clusters` clusters each. */
export function randomMemberships(seed: number, n: number, clusters: number, kept: number): Memberships {
  const rng = generator(BigInt(seed), 'random-memberships');
  const all = { cluster: new Int32Array(n * kept), share: new Float32Array(n * kept) };
  for (let row = 0; row < n; row++) {
    const present = rng.below(clusters) + 1;
    const shares: number[] = Array.from({ length: clusters }, () =>
      rng.below(clusters) < present ? rng.uniform() : 0,
    );
    if (!shares.some((share) => share > 0)) shares[rng.below(clusters)] = 1;
    const sum = shares.reduce((a, b) => a + b, 0);
    keepLargest(
      shares.map((share) => share / sum),
      null,
      clusters,
      0,
      kept,
      all,
      row * kept,
    );
  }
  return all;
}

/** Memberships as the full matrix [n, clusters]. */
export function sharesOf({ cluster, share }: Memberships, clusters: number, kept: number): number[][] {
  return Array.from({ length: share.length / kept }, (_, row) => {
    const shares = Array<number>(clusters).fill(0);
    for (let m = row * kept; m < (row + 1) * kept; m++) shares[cluster[m]] += share[m];
    return shares;
  });
}

/** Σ_i d_i r_ik. */
export const volumesOf = (shares: number[][], degree: ArrayLike<number>): Float64Array =>
  Float64Array.from(shares[0], (_, k) => shares.reduce((sum, row, i) => sum + degree[i] * row[k], 0));

/**
 * The mean field of each row as the full matrix, by its formula: exp(J·(Σ_j w_ij r_jk − γ·d_i·vol_k/tot)), of the clusters in which
 * a neighbour is, scaled to the sum 1.
 */
export function fieldByFormula(
  graph: Graph,
  shares: number[][],
  { coupling, resolution }: { coupling: number; resolution: number },
): number[][] {
  const weights = matrixOf(graph);
  const degree = weights.map((row) => row.reduce((a, b) => a + b, 0));
  const total = degree.reduce((a, b) => a + b, 0);
  const volume = volumesOf(shares, degree);
  return weights.map((row, i) => {
    const links = [...volume].map((_, k) => row.reduce((sum, w, j) => sum + w * shares[j][k], 0));
    if (links.every((link) => link === 0)) return shares[i];
    const logs = links.map((link, k) =>
      link > 0 ? coupling * (link - (resolution * degree[i] * volume[k]) / total) : -Infinity,
    );
    const odds = logs.map((log) => Math.exp(log - Math.max(...logs)));
    const sum = odds.reduce((a, b) => a + b, 0);
    return odds.map((odd) => odd / sum);
  });
}
