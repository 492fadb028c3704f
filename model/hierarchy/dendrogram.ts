import { bySize } from '../order.ts';

/** The tree of merges above a partition, and the partitions into fewer clusters that it contains. */

/** Two clusters that are joined: 0 … K−1 are those of the partition, K + j is what join j made. a < b. */
export interface Join {
  readonly a: number;
  readonly b: number;
  /** At which level of the measure. From one join to the next it never turns back. */
  readonly height: number;
}

/** The K − 1 joins of K clusters, the closest first, numbered as in SciPy's `linkage`. */
export interface Dendrogram {
  /** Rows of each cluster. */
  readonly sizes: readonly number[];
  readonly joins: readonly Join[];
}

/** How the components of a cluster of several join: 0 … m−1 are `components`, by their numbers in the mixture. */
export interface ComponentTree extends Dendrogram {
  readonly cluster: number;
  readonly components: readonly number[];
}

/** A cluster of a cut: some clusters of the partition as one. */
export interface Group {
  /** In the tree: K + j is what join j made. */
  readonly node: number;
  readonly rows: number;
  /** The clusters that it was joined from, ascending. */
  readonly from: readonly number[];
  /** The height of the last of these joins; null for a single cluster. */
  readonly height: number | null;
}

/** A partition into fewer clusters, numbered by size. */
export interface DendrogramCut {
  readonly groups: readonly Group[];
  /** For each cluster of the partition its group. */
  readonly place: Int32Array;
}

/** The rows of each node, clusters and joins. */
export function nodeSizes({ sizes, joins }: Dendrogram): number[] {
  const all = [...sizes];
  for (const { a, b } of joins) all.push(all[a] + all[b]);
  return all;
}

/**
 * The clusters that are left once all but the last `count` − 1 joins are made, by node, in the order of their lowest clusters.
 * RangeError unless `count` is from 1 to K.
 */
export function groupsAt({ sizes, joins }: Dendrogram, count: number): Map<number, Group> {
  const k = sizes.length;
  if (!(Number.isInteger(count) && count >= 1 && count <= k))
    throw new RangeError(`a cut of ${k} clusters at ${count}`);
  const made = joins.slice(0, k - count);
  // The node that each ends in, from the last join down.
  const end = Array.from({ length: k + made.length }, (_, node) => node);
  for (let i = made.length - 1; i >= 0; i--) end[made[i].a] = end[made[i].b] = end[k + i];
  const left = new Map<number, { node: number; rows: number; from: number[]; height: number | null }>();
  for (const [cluster, rows] of sizes.entries()) {
    const node = end[cluster];
    const group = left.get(node);
    if (!group) left.set(node, { node, rows, from: [cluster], height: made[node - k]?.height ?? null });
    else {
      group.rows += rows;
      group.from.push(cluster);
    }
  }
  return left;
}

/** The same, numbered by size, the largest first; of equal ones, first the one with the lowest cluster. */
export function cutAt(tree: Dendrogram, count: number): DendrogramCut {
  const left = [...groupsAt(tree, count).values()];
  const groups = bySize(left.map(({ rows }) => rows)).map((place) => left[place]);
  const place = new Int32Array(tree.sizes.length);
  groups.forEach(({ from }, group) => {
    for (const cluster of from) place[cluster] = group;
  });
  return { groups, place };
}

/** The clusters that have rows, ascending. */
export const occupiedOf = (rows: readonly number[]): number[] =>
  rows.flatMap((n, cluster) => (n > 0 ? [cluster] : []));

/** Clusters that become one: all of them, ascending, and the one with most rows. */
export interface Union {
  readonly from: readonly number[];
  readonly largest: number;
}

/**
 * A cut into at most so many clusters of the tree above those that have rows; the others are in the first group, the largest one.
 *
 * @param joins above `occupiedOf(rows)`
 */
export function cutOfOccupied(
  rows: readonly number[],
  joins: readonly Join[],
  count: number,
): { groups: Union[]; place: Int32Array } {
  const occupied = occupiedOf(rows);
  const sizes = occupied.map((cluster) => rows[cluster]);
  const cut = cutAt({ sizes, joins }, Math.min(count, occupied.length));
  const place = new Int32Array(rows.length);
  for (const [i, cluster] of occupied.entries()) place[cluster] = cut.place[i];
  const groups: number[][] = cut.groups.map(() => []);
  for (const [cluster, group] of place.entries()) groups[group].push(cluster);
  return {
    groups: groups.map((from) => ({
      from,
      largest: from.reduce((best, cluster) => (rows[cluster] > rows[best] ? cluster : best)),
    })),
    place,
  };
}

/**
 * Which cluster would split next, and into what: the tree goes on below its clusters, from two sub-clusters of each one's rows in the
 * sample.
 */

/** The next split of a cluster. */
export interface NextSplit {
  /** The number of the cluster. */
  readonly cluster: number;
  /** Rows of both sub-clusters, the larger first: estimates, which add up to the cluster's. */
  readonly sizes: readonly [number, number];
  /** That of the join that would undo the split, in the measure of the tree. */
  readonly height: number;
}

/** Two sub-clusters of a cluster. */
export interface ClusterHalves {
  /** Rows in the sample. */
  readonly rows: readonly [number, number];
  readonly height: number;
}

/**
 * The clusters with sub-clusters, the one that would split first in front: by heights that rise or fall, as those of the joins do away from
 * the root. On a tie, the lowest cluster.
 *
 * @param sizes rows of each cluster
 */
export function nextSplits(
  sizes: readonly number[],
  halves: readonly (ClusterHalves | null)[],
  order: 'rising' | 'falling',
): NextSplit[] {
  const sign = order === 'rising' ? 1 : -1;
  return sizes
    .flatMap((size, cluster): NextSplit[] => {
      const own = halves[cluster];
      if (!own || size < 2 || !Number.isFinite(own.height)) return [];
      return [{ cluster, sizes: sharedOut(size, own.rows), height: own.height }];
    })
    .sort((a, b) => sign * (a.height - b.height) || a.cluster - b.cluster);
}

/** So many rows in about these proportions, at least one in each sub-cluster. */
function sharedOut(size: number, [one, other]: readonly [number, number]): [number, number] {
  const larger = Math.round((size * Math.max(one, other)) / (one + other));
  const first = Math.min(size - 1, Math.max(larger, Math.ceil(size / 2)));
  return [first, size - first];
}

/** Layers of labels for a map: cuts of a tree of merges, from all clusters to a few. */

/** Clusters of a layer for one of the next, about: few enough for the eye to follow a name to its parts. */
const RATIO = 4;
/** Of the last layer: one name of everything says nothing. */
const FEWEST = 2;

/** A cut: its groups by their nodes in the tree, of which K + j is what join j made. */
export type TreeLayer = Map<number, Group>;

/** From the clusters up: each layer has about a quarter of the groups of the one below it. */
export function layersOf(tree: Dendrogram): TreeLayer[] {
  const layers: TreeLayer[] = [];
  let count = tree.sizes.length;
  do {
    layers.push(groupsAt(tree, count));
    count = Math.ceil(count / RATIO);
  } while (count >= FEWEST && layers.at(-1)!.size > FEWEST);
  return layers;
}
