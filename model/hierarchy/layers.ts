import { type Dendrogram, type Group, groupsAt } from './dendrogram.ts';

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
