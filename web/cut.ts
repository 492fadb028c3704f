import { cutAt, type Group, groupsAt } from '../model/hierarchy/dendrogram.ts';
import type { MergeTree } from '../view/api.ts';
import { counted } from '../view/counted.ts';
import { groupName } from '../view/dendrogram.ts';
import { COLOURS } from '../view/palette.ts';
import type { Cluster } from './analyse.ts';
import { count, threeDigits } from './format.ts';

/** What the page shows of a cut of the tree of merges, and of the splits below it. */

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
    if (!group) return cluster;
    return {
      ...cluster,
      colour: colours[cut.place[c]],
      group: group.from.length > 1 ? groupName(group) : null,
    };
  });
}

/**
 * A group keeps the colour of its lowest cluster from one cut to the next. Beyond fifty clusters two may have the same: the smaller
 * one gets a free colour, while there are any.
 */
function coloursOf(groups: readonly Group[], clusters: readonly Cluster[]): number[] {
  const taken = new Set<number>();
  return groups.map(({ from }) => {
    let colour = clusters[from[0]].colour % COLOURS.length;
    if (taken.has(colour) && taken.size < COLOURS.length) {
      colour = 0;
      while (taken.has(colour)) colour++;
    }
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
  const [a, b] = [join.a, join.b].map((node) => groupName(groups.get(node)!));
  return `${clusters}; the next join is of ${a} and ${b} at ${heightText(tree, join.height)}`;
}

const heightText = ({ likelihood }: MergeTree, height: number): string =>
  likelihood === 'graph' ? `resolution γ ${threeDigits(height)}` : `${threeDigits(height)} nats a row`;

/** Which clusters of the run would split next; empty if that is not known. */
export function nextSplitText(tree: MergeTree): string {
  const splits = (tree.next ?? [])
    .slice(0, MOST_SPLITS)
    .map(
      ({ cluster, sizes, height }) =>
        `cluster ${cluster} into about ${sizes.map(count).join(' and ')} rows (at ${heightText(tree, height)})`,
    );
  return splits.length ? `Next to split: ${splits.join('; then ')}.` : '';
}
