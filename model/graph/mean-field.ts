import type { Graph } from './weights.ts';

/**
 * The mean field of the planted partition (docs/algorithm.md, section 11): given the memberships of its neighbours, a row belongs
 * to cluster k with probability ∝ exp(J·(Σ_j w_ij r_jk − γ d_i vol_k/tot)).
 */

/**
 * The largest memberships of each row, `kept` of them, in descending order: the clusters, and their shares, which add up to 1.
 * Shares of 0 fill up, and are all that a row has of which nothing is known.
 */
export interface Memberships {
  readonly cluster: Int32Array;
  readonly share: Float32Array;
}

export interface Field {
  readonly graph: Graph;
  readonly degree: Float64Array;
  readonly total: number;
  readonly memberships: Memberships;
  /** Σ_i d_i r_ik of each cluster. */
  readonly volume: Float64Array;
  readonly kept: number;
  /** J. */
  readonly coupling: number;
  /** γ. */
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
export function meanField(field: Field): (row: number) => RowField {
  const { graph, degree, total, memberships, volume, kept, coupling, resolution } = field;
  const links = new Float64Array(volume.length);
  const cluster = new Int32Array(volume.length);
  const share = new Float64Array(volume.length);
  const found: RowField = { count: 0, cluster, share };
  return (row) => {
    let count = 0;
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const first = graph.index[e] * kept;
      for (let m = first; m < first + kept; m++) {
        const link = graph.weight[e] * memberships.share[m];
        // The shares that follow are smaller. A product can underflow.
        if (!(link > 0)) break;
        const k = memberships.cluster[m];
        if (links[k] === 0) cluster[count++] = k;
        links[k] += link;
      }
    }
    if (count === 0) {
      for (let m = row * kept; m < (row + 1) * kept && memberships.share[m] > 0; m++) {
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
