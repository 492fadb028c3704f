import { type Dendrogram, type Group, groupsAt, nodeSizes } from '../model/hierarchy/dendrogram.ts';

/** The tree of merges as the live page and the report draw it: its root on the left, the clusters on the right. */

/** Of more clusters, those below the upper joins are shown as groups. */
const MOST_LEAVES = 60;

/** Joins, from the root, that say how many clusters they leave. */
const MOST_NUMBERED = 12;

/** Where a cluster, a group of clusters, or a join is in the picture. */
export interface Place {
  /** Along the joins; null at their right end. */
  readonly height: number | null;
  /** In leaves from the top: 0.5 is the middle of the first. */
  readonly y: number;
  /** Its lowest cluster. */
  readonly first: number;
}

/** A join that is shown. */
export interface Branch {
  readonly at: Place & { readonly height: number };
  readonly ends: readonly [Place, Place];
  /** How many clusters are left once it is made. */
  readonly left: number;
}

export interface TreeLayout {
  /** Clusters, or groups of them, from top to bottom. */
  readonly leaves: readonly Group[];
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
  const places = new Map<number, Place>(
    nodes.map((node, i) => [node, { height: null, y: i + 0.5, first: groups.get(node)!.from[0] }]),
  );
  const branches = shown.map(({ a, b, height }, i): Branch => {
    const ends = [places.get(a)!, places.get(b)!] as const;
    const at = {
      height,
      y: (ends[0].y + ends[1].y) / 2,
      first: Math.min(ends[0].first, ends[1].first),
    };
    places.set(2 * k - groups.size + i, at);
    return { at, ends, left: shown.length - i };
  });
  return { leaves: nodes.map((node) => groups.get(node)!), branches };
}

/** The joins of which the picture says how many clusters they leave. */
export const numberedBranches = ({ branches }: TreeLayout): Branch[] =>
  branches.filter(({ left }) => left <= MOST_NUMBERED);

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

/** A group by its clusters: `3`; `3, 7 (2)`; `3, 7, … (5)`. */
export function groupName({ from }: Pick<Group, 'from'>): string {
  if (from.length === 1) return String(from[0]);
  return `${from.slice(0, 2).join(', ')}${from.length > 2 ? ', …' : ''} (${from.length})`;
}
