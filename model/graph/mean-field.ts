import { KEPT_MEMBERSHIPS } from '../widths.ts';
import type { DegreeGraph, Graph } from './weights.ts';

/**
 * The mean field of the planted partition (docs/algorithm.md, section 11): given the memberships of its neighbours, a row belongs
 * to cluster k with probability ∝ exp(J·(Σ_j w_ij r_jk − γ d_i vol_k/tot)).
 */

const KEPT = KEPT_MEMBERSHIPS;

/**
 * The four largest memberships of each row, in descending order: the clusters, and their shares, which add up to 1. Shares of 0 fill
 * up, and are all that a row has of which nothing is known.
 */
export interface Memberships {
  readonly cluster: Int32Array;
  readonly share: Float32Array;
}

/** Memberships with the volume of each cluster, Σ_i d_i r_ik. */
export interface ClusterMemberships extends Memberships {
  readonly volume: Float64Array;
}

/** Coupling J and resolution γ. */
export interface FieldParameters {
  readonly coupling: number;
  readonly resolution: number;
}

/** The memberships of one row by its neighbours: `count` clusters with the probabilities of these; only valid until the next call. */
export interface RowField {
  count: number;
  readonly cluster: Int32Array;
  readonly share: Float64Array;
}

/**
 * The function that evaluates the field at a row. Clusters in which it has no neighbour do not count: exp(−J·d) is next to nothing
 * for them. A row whose neighbours are in no cluster keeps its memberships.
 */
export function meanField(
  { graph, degree, total }: DegreeGraph,
  memberships: ClusterMemberships,
  { coupling, resolution }: FieldParameters,
): (row: number) => RowField {
  const { volume } = memberships;
  const links = new Float64Array(volume.length);
  const cluster = new Int32Array(volume.length);
  const share = new Float64Array(volume.length);
  const found: RowField = { count: 0, cluster, share };
  return (row) => {
    let count = 0;
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const first = graph.index[e] * KEPT;
      for (let m = first; m < first + KEPT; m++) {
        const link = graph.weight[e] * memberships.share[m];
        // The shares that follow are smaller. A product can underflow.
        if (!(link > 0)) break;
        const k = memberships.cluster[m];
        if (links[k] === 0) cluster[count++] = k;
        links[k] += link;
      }
    }
    if (count === 0) {
      for (let m = row * KEPT; m < (row + 1) * KEPT && memberships.share[m] > 0; m++) {
        cluster[count] = memberships.cluster[m];
        share[count++] = memberships.share[m];
      }
      found.count = count;
      return found;
    }
    let top = -Infinity;
    for (let c = 0; c < count; c++) {
      const k = cluster[c];
      share[c] = coupling * (links[k] - (resolution * degree[row] * volume[k]) / total);
      links[k] = 0;
      if (share[c] > top) top = share[c];
    }
    let sum = 0;
    for (let c = 0; c < count; c++) sum += share[c] = Math.exp(share[c] - top);
    for (let c = 0; c < count; c++) share[c] /= sum;
    found.count = count;
    return found;
  };
}

/** The memberships after so many sweeps, in each of which all rows move by the field of the memberships before it. */
export function sweptMemberships(
  of: DegreeGraph,
  start: ClusterMemberships,
  parameters: FieldParameters,
  sweeps: number,
): ClusterMemberships {
  const k = start.volume.length;
  let memberships = start;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const at = meanField(of, memberships, parameters);
    const next = emptyMemberships(of.degree.length);
    for (let row = 0; row < of.degree.length; row++) {
      const { count, cluster, share } = at(row);
      keepLargest(share, cluster, count, 0, KEPT, next, row * KEPT);
    }
    memberships = withVolumes(next, of.degree, k, of.starts);
  }
  return memberships;
}

/** Each row in the cluster of its label. */
export function hardMemberships(labels: Int32Array, degree: Float64Array, k: number): ClusterMemberships {
  const hard = emptyMemberships(labels.length);
  labels.forEach((label, row) => {
    hard.cluster[row * KEPT] = label;
    hard.share[row * KEPT] = 1;
  });
  return withVolumes(hard, degree, k);
}

/** The cluster with the largest membership of each row. */
export const labelsOf = ({ cluster }: Memberships): Int32Array =>
  Int32Array.from({ length: cluster.length / KEPT }, (_, row) => cluster[row * KEPT]);

/** The memberships once cluster k has become cluster `place[k]` of `clusters`. */
export function regrouped(
  { cluster, share, volume }: ClusterMemberships,
  place: Int32Array,
  clusters: number,
): ClusterMemberships {
  const next = { ...emptyMemberships(cluster.length / KEPT), volume: new Float64Array(clusters) };
  volume.forEach((own, k) => {
    next.volume[place[k]] += own;
  });
  const merged = new Float64Array(KEPT);
  const into = new Int32Array(KEPT);
  for (let at = 0; at < cluster.length; at += KEPT) {
    let count = 0;
    for (let m = at; m < at + KEPT && share[m] > 0; m++) {
      const k = place[cluster[m]];
      const known = into.subarray(0, count).indexOf(k);
      const slot = known < 0 ? count++ : known;
      merged[slot] = (known < 0 ? 0 : merged[slot]) + share[m];
      into[slot] = k;
    }
    keepLargest(merged, into, count, 0, KEPT, next, at);
  }
  return next;
}

/** w_kl = Σ_ij w_ij r_ik r_jl of memberships in K clusters, [K,K]: within a cluster each edge counts twice. */
export function linksBetween(graph: Graph, { cluster, share, volume }: ClusterMemberships): Float64Array {
  const k = volume.length;
  const W = new Float64Array(k * k);
  for (let row = 0; row < graph.starts.length - 1; row++)
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const other = graph.index[e] * KEPT;
      for (let a = row * KEPT; a < (row + 1) * KEPT; a++) {
        const r = share[a] * graph.weight[e];
        if (r === 0) break;
        for (let b = other; b < other + KEPT; b++) W[cluster[a] * k + cluster[b]] += r * share[b];
      }
    }
  return W;
}

export const emptyMemberships = (n: number): Memberships => ({
  cluster: new Int32Array(n * KEPT),
  share: new Float32Array(n * KEPT),
});

/**
 * Memberships of the rows with these degrees, with the volumes of K clusters. They are added up shard by shard, whose rows begin at
 * `starts`, as workers do with those of the clustering net.
 */
export function withVolumes(
  { cluster, share }: Memberships,
  degree: Float64Array,
  k: number,
  starts: ArrayLike<number> = [0, degree.length],
): ClusterMemberships {
  const volume = new Float64Array(k);
  for (let shard = 0; shard + 1 < starts.length; shard++) {
    const own = new Float64Array(k);
    for (let row = starts[shard], m = row * KEPT; row < starts[shard + 1]; row++)
      for (let p = 0; p < KEPT; p++, m++) own[cluster[m]] += degree[row] * share[m];
    for (let c = 0; c < k; c++) volume[c] += own[c];
  }
  return { cluster, share, volume };
}

/** Memberships up to this do not count: a thousand rows with it weigh as much as one. */
const LEAST_SHARE = 1e-3;

/**
 * Keeps the largest memberships of a row, in descending order (the lower cluster first of equals, in float32), scaled to the sum 1,
 * at index `at` of `out`: those above 1e-3, and the largest in any case. None, if none is above 0, as those of a net that has
 * diverged. `cluster` null: of clusters 0, 1, …
 */
export function keepLargest(
  share: ArrayLike<number>,
  cluster: Int32Array | null,
  count: number,
  from: number,
  kept: number,
  out: Memberships,
  at: number,
): void {
  let filled = 0;
  for (let c = 0; c < count; c++) {
    // As it is stored, so that ties are ties.
    const r = Math.fround(share[from + c]);
    if (!(r > 0)) continue;
    const k = cluster ? cluster[c] : c;
    let place = filled;
    while (
      place > 0 &&
      (out.share[at + place - 1] < r || (out.share[at + place - 1] === r && out.cluster[at + place - 1] > k))
    )
      place--;
    if (place >= kept) continue;
    const last = Math.min(filled, kept - 1);
    for (let p = last; p > place; p--) {
      out.share[at + p] = out.share[at + p - 1];
      out.cluster[at + p] = out.cluster[at + p - 1];
    }
    out.share[at + place] = r;
    out.cluster[at + place] = k;
    if (filled < kept) filled++;
  }
  while (filled > 1 && out.share[at + filled - 1] <= LEAST_SHARE) filled--;
  let sum = 0;
  for (let p = 0; p < filled; p++) sum += out.share[at + p];
  for (let p = 0; p < filled; p++) out.share[at + p] /= sum;
  for (let p = filled; p < kept; p++) {
    out.share[at + p] = 0;
    out.cluster[at + p] = 0;
  }
}
