import { cutAt, type Dendrogram, type Group, groupsAt, nodeSizes } from '../../model/hierarchy/dendrogram.ts';
import type { MergeTree } from './api.ts';
import type { Cluster } from './model-view.ts';
import { COLOURS } from './palette.ts';
import { count, counted, threeDigits } from './text.ts';

/** The tree of merges as it is drawn, its root on the left, the clusters on the right; its cuts, and the splits below it. */

/** Of more clusters, those below the upper joins are shown as groups. */
const MOST_LEAVES = 60;

/** Where a cluster, a group of clusters, or a join is in the picture. */
export interface TreePlace {
  /** Along the joins; null at their right end. */
  readonly height: number | null;
  /** In leaves from the top: 0.5 is the middle of the first. */
  readonly y: number;
  /** Its lowest cluster. */
  readonly first: number;
}

/** A join that is shown. */
export interface Branch {
  readonly at: TreePlace & { readonly height: number };
  readonly ends: readonly [TreePlace, TreePlace];
  /** How many clusters are left once it is made. */
  readonly left: number;
}

export interface TreeLayout {
  /** Clusters, or groups of them, from top to bottom. */
  readonly leaves: readonly Group[];
  /** The nodes of the tree that they are. */
  readonly nodes: readonly number[];
  /** The last joins, in their order. */
  readonly branches: readonly Branch[];
}

/** Places of the last 59 joins at most, and of what they join. The larger branch of each is above the other. */
export function treeLayout(tree: Dendrogram): TreeLayout {
  const { sizes, joins } = tree;
  const k = sizes.length;
  const groups = groupsAt(tree, Math.min(k, MOST_LEAVES));
  const shown = joins.slice(k - groups.size);
  const nodes = leavesOf(tree, groups);
  const places = new Map<number, TreePlace>(
    nodes.map((node, i) => [node, { height: null, y: i + 0.5, first: groups.get(node)!.from[0] }]),
  );
  const branches = shown.map(({ a, b, height }, i): Branch => {
    const ends = [places.get(a)!, places.get(b)!] as const;
    const [y, first] = [(ends[0].y + ends[1].y) / 2, Math.min(ends[0].first, ends[1].first)];
    const at = { height, y, first };
    places.set(2 * k - groups.size + i, at);
    return { at, ends, left: shown.length - i };
  });
  return { leaves: nodes.map((node) => groups.get(node)!), nodes, branches };
}

/** The nodes of the groups, from top to bottom. */
function leavesOf(tree: Dendrogram, groups: ReadonlyMap<number, Group>): number[] {
  const k = tree.sizes.length;
  const sizes = nodeSizes(tree);
  const leaves: number[] = [];
  const stack = [sizes.length - 1];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (groups.has(node)) leaves.push(node);
    else {
      const { a, b } = tree.joins[node - k];
      stack.push(...(sizes[a] < sizes[b] ? [a, b] : [b, a]));
    }
  }
  return leaves;
}

/** The label of a cluster. */
export const labelIn = ({ ids }: Pick<MergeTree, 'ids'>, cluster: number): number =>
  ids?.[cluster] ?? cluster;

/** A group by the labels of its clusters: `3`; `3, 7 (2)`; `3, 7, … (5)`. */
export function groupName({ from }: Pick<Group, 'from'>, tree: Pick<MergeTree, 'ids'> = {}): string {
  const [first, ...others] = from.slice(0, 2).map((cluster) => labelIn(tree, cluster));
  if (!others.length) return String(first);
  return `${first}, ${others[0]}${from.length > 2 ? ', …' : ''} (${from.length})`;
}

/** Splits that the page names. */
const MOST_SPLITS = 3;

/** The clusters, each in the colour of the group that it is in where `left` are left. At K they are as they were. */
export function inCut(clusters: Cluster[], tree: MergeTree, left: number): Cluster[] {
  if (left === tree.sizes.length) return clusters;
  const cut = cutAt(tree, left);
  const colours = coloursOf(cut.groups, clusters);
  return clusters.map((cluster, c) => {
    // Those without rows are not in the tree.
    const group = cut.groups[cut.place[c]];
    const name = group?.from.length > 1 ? groupName(group, tree) : null;
    return group ? { ...cluster, colour: colours[cut.place[c]], group: name } : cluster;
  });
}

/**
 * A group keeps the colour of its lowest cluster from one cut to the next. Beyond fifty clusters two may have the same: the smaller
 * one gets a free colour, while there are any.
 */
function coloursOf(groups: readonly Group[], clusters: readonly Cluster[]): number[] {
  const taken = new Set<number>();
  return groups.map(({ from }) => {
    const own = clusters[from[0]].colour % COLOURS.length;
    const free = COLOURS.findIndex((_, colour) => !taken.has(colour));
    const colour = taken.has(own) && free >= 0 ? free : own;
    taken.add(colour);
    return colour;
  });
}

/** How many clusters are left, and which two would join next. */
export function cutText(tree: MergeTree, left: number): string {
  const clusters = counted(left, 'cluster');
  const join = tree.joins[tree.sizes.length - left];
  if (!join) return clusters;
  const groups = groupsAt(tree, left);
  const [a, b] = [join.a, join.b].map((node) => groupName(groups.get(node)!, tree));
  return `${clusters}; the next join is of ${a} and ${b} at ${heightText(tree, join.height)}`;
}

const heightText = ({ likelihood }: MergeTree, height: number): string =>
  likelihood === 'graph' ? `resolution γ ${threeDigits(height)}` : `${threeDigits(height)} nats a row`;

/** Which clusters of the run would split next; empty if that is not known. */
export function nextSplitText(tree: MergeTree): string {
  const splits = (tree.next ?? []).slice(0, MOST_SPLITS).map(({ cluster, sizes, height }) => {
    const parts = sizes.map(count).join(' and ');
    return `cluster ${labelIn(tree, cluster)} into about ${parts} rows (at ${heightText(tree, height)})`;
  });
  return splits.length ? `Next to split: ${splits.join('; then ')}.` : '';
}

/** Says which joins the picture has, if these are not all. */
export function shownJoins(tree: Dendrogram): string {
  const { branches } = treeLayout(tree);
  const all = tree.joins.length;
  return branches.length < all ? `the last ${branches.length} of ${count(all)} joins` : '';
}

/** What the picture means. */
export function treeLegend(tree: MergeTree): string {
  const shown = shownJoins(tree);
  return [
    'On the right, clusters and their rows; the numbers at the last joins are how many clusters each leaves.',
    ...(shown ? [`Shown are ${shown}; in brackets, the clusters of a group.`] : []),
    `Axis: ${tree.measure}.`,
    'dpmesh cut writes the labels of fewer clusters.',
  ].join(' ');
}
