import type { HalfLinks } from '../graph/halves.ts';
import type { ClusterHalves, Join } from './dendrogram.ts';

/** The hierarchy of clusters above a partition of a graph. */

/**
 * Joins the two clusters whose union pays at the largest resolution (`quality` in graph/louvain.ts), until one is left: K − 1 joins. A
 * height is the largest γ at which the union is no worse than the two: w_ab·total/(volume_a·volume_b). Heights never rise, as that of
 * a union is a mean of its parts', weighted by their volumes (a last bit by which rounding raises one is cut off): cutting at γ, all
 * joins at γ or above are made. On a tie, the pair that has the lowest cluster. O(K²) as a rule.
 *
 * @param weights [K, K], symmetric: the weight between the rows of two clusters; its diagonal is not read
 * @param volumes the sum of degrees of each cluster's rows, in which weights within the cluster count twice
 */
export function mergeTree(weights: Float64Array, volumes: Float64Array): Join[] {
  const k = volumes.length;
  const between = weights.slice();
  const volume = volumes.slice();
  const total = volume.reduce((sum, v) => sum + v, 0);
  const id = Int32Array.from({ length: k }, (_, c) => c);
  // The places still in use, ascending: a union takes the lower place of its two.
  const alive = Int32Array.from(id);
  let count = k;
  // Of each place, the best partner at a higher one.
  const partner = new Int32Array(k).fill(-1);
  const best = new Float64Array(k).fill(-1);

  const heightOf = (a: number, b: number): number => {
    const weight = between[a * k + b];
    return weight > 0 ? (weight * total) / (volume[a] * volume[b]) : 0;
  };
  /** `at`: where `a` is in `alive`. */
  const findPartner = (at: number): void => {
    const a = alive[at];
    best[a] = partner[a] = -1;
    for (let p = at + 1; p < count; p++) {
      const height = heightOf(a, alive[p]);
      if (height > best[a]) {
        best[a] = height;
        partner[a] = alive[p];
      }
    }
  };
  /** Takes b into a, in the weights and in `alive`. Returns where `a` is in it. */
  const unite = (a: number, b: number): number => {
    let [left, at] = [0, 0];
    for (let p = 0; p < count; p++) {
      const c = alive[p];
      if (c === b) continue;
      if (c === a) at = left;
      else between[a * k + c] = between[c * k + a] = between[a * k + c] + between[b * k + c];
      alive[left++] = c;
    }
    count = left;
    volume[a] += volume[b];
    return at;
  };

  const joins: Join[] = [];
  for (let p = 0; p < k; p++) findPartner(p);
  while (count > 1) {
    let a = alive[0];
    for (let p = 1; p < count; p++) if (best[alive[p]] > best[a]) a = alive[p];
    const b = partner[a];
    const height = Math.min(best[a], joins.at(-1)?.height ?? Infinity);
    joins.push({ a: Math.min(id[a], id[b]), b: Math.max(id[a], id[b]), height });
    id[a] = k + joins.length - 1;
    const at = unite(a, b);
    findPartner(at);
    // The others have to look again only if they have lost their partner to a union that is worse for them.
    for (let p = 0; p < count && alive[p] < b; p++) {
      const c = alive[p];
      if (c === a) continue;
      const height = c < a ? heightOf(c, a) : -1;
      const isBetter = height > best[c] || (height === best[c] && a <= partner[c]);
      if (isBetter) {
        best[c] = height;
        partner[c] = a;
      } else if (partner[c] === a || partner[c] === b) findPartner(p);
    }
  }
  return joins;
}

/**
 * By the graph, as in the tree: the largest γ at which the sub-clusters are worth no less as one, w₀₁·total/(vol₀·vol₁). Of
 * several cuts of a cluster the one that pays at the least γ.
 *
 * @param total the sum of all degrees
 * @param fewest rows of a half
 * @returns null for a cluster without such sub-clusters
 */
export function linkedHalves(
  { rows, volume, between }: HalfLinks,
  cuts: number,
  total: number,
  fewest: number,
): (ClusterHalves | null)[] {
  return Array.from({ length: between.length / cuts }, (_, cluster) => {
    let best: ClusterHalves | null = null;
    for (let at = cluster * cuts; at < (cluster + 1) * cuts; at++) {
      const [one, other] = rows.subarray(2 * at, 2 * at + 2);
      if (Math.min(one, other) < fewest) continue;
      const height = between[at] > 0 ? (between[at] * total) / (volume[2 * at] * volume[2 * at + 1]) : 0;
      if (!best || height < best.height) best = { rows: [one, other], height };
    }
    return best;
  });
}
