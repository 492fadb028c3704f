/**
 * Clusters as sets of a mixture's components. Where some clusters have several, `groups` has the cluster of each component, and clusters are
 * numbered in the order of their first components. A row's responsibility of a cluster is the sum of those of its components.
 */
export type Groups = Int32Array;

/** A bias, or log-density, with which a cluster has no row, whatever the others say. */
export const CLOSED = -1e38;

/** How many clusters k components are. */
export const clusterCount = (k: number, groups: Groups | null | undefined): number =>
  groups ? groups.reduce((most, cluster) => Math.max(most, cluster), -1) + 1 : k;

/** The components of each cluster. */
export function componentsOf(k: number, groups: Groups | null | undefined): number[][] {
  const of = Array.from({ length: clusterCount(k, groups) }, (): number[] => []);
  for (let component = 0; component < k; component++)
    of[groups ? groups[component] : component].push(component);
  return of;
}

/** The groups that these labels are, numbered in the order of their first components; null where each component has its own. */
export function groupsFrom(labels: ArrayLike<number>): Groups | null {
  const numbers = new Map<number, number>();
  const groups = Int32Array.from(labels, (label) => {
    if (!numbers.has(label)) numbers.set(label, numbers.size);
    return numbers.get(label)!;
  });
  return numbers.size < groups.length ? groups : null;
}

/** Sums by cluster of what components have: arrays of one length. */
export const sumsByCluster = (
  of: readonly Float64Array[],
  groups: Groups | null | undefined,
): Float64Array[] =>
  groups
    ? componentsOf(of.length, groups).map(([first, ...others]) =>
        others.reduce((sum, other) => sum.map((value, i) => value + of[other][i]), of[first]),
      )
    : [...of];

/** The same of numbers. */
export const totalsByCluster = (of: ArrayLike<number>, groups: Groups | null | undefined): number[] =>
  componentsOf(of.length, groups).map((own) => own.reduce((sum, component) => sum + of[component], 0));

/** Components in the order of their clusters, and within each cluster by `size`, the largest first. */
export function componentOrder(
  clusters: readonly number[],
  k: number,
  groups: Groups | null | undefined,
  size: (component: number) => number,
): number[] {
  const own = componentsOf(k, groups);
  return clusters.flatMap((cluster) => own[cluster].toSorted((a, b) => size(b) - size(a) || a - b));
}

/** Which components each cluster has: 1 or 0, [components,clusters]. */
export function memberships(groups: Groups): Float32Array {
  const clusters = clusterCount(groups.length, groups);
  const out = new Float32Array(groups.length * clusters);
  for (const [component, cluster] of groups.entries()) out[component * clusters + cluster] = 1;
  return out;
}

/** What rows have of clusters, given what they have of components. */
export interface RowClusters {
  /** The cluster of each row. */
  labels: Int32Array;
  /** Responsibilities of the clusters, a row each. */
  responsibilities: Float32Array;
  /** The most likely component of each row in its cluster. */
  components: Int32Array;
}

/**
 * The clusters of rows by the responsibilities `r` [n,K] of components, of which `best` are the largest; as they are where each component is a
 * cluster. Of several, a row so far from all that its densities are 0 has NaN: it is in the cluster of `best`, whose responsibility is 1.
 */
export function rowClusters(best: Int32Array, r: Float32Array, groups: Groups | null): RowClusters {
  if (!groups) return { labels: best, responsibilities: r, components: best };
  const k = groups.length;
  const clusters = clusterCount(k, groups);
  const labels = new Int32Array(best.length);
  const components = best.slice();
  const responsibilities = new Float32Array(best.length * clusters);
  const sums = new Float64Array(clusters);
  for (let i = 0; i < best.length; i++) {
    const at = i * k;
    sums.fill(0);
    if (Number.isNaN(r[at])) sums[groups[best[i]]] = 1;
    else for (let c = 0; c < k; c++) sums[groups[c]] += r[at + c];
    let label = groups[best[i]];
    for (let cluster = 0; cluster < clusters; cluster++) if (sums[cluster] > sums[label]) label = cluster;
    labels[i] = label;
    responsibilities.set(sums, i * clusters);
    if (label === groups[best[i]]) continue;
    let own = groups.indexOf(label);
    for (let c = own + 1; c < k; c++) if (groups[c] === label && r[at + c] > r[at + own]) own = c;
    components[i] = own;
  }
  return { labels, responsibilities, components };
}

/** The groups of these components, in this order; also where each is a cluster. */
export function regrouped(groups: Groups, order: readonly number[]): Groups {
  return groupsFrom(order.map((component) => groups[component])) ?? Int32Array.from(order, (_, i) => i);
}
