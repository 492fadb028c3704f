import * as z from 'zod/mini';
import { list } from '../base/schema.ts';
import { oneLine } from '../base/text.ts';
import {
  type ComponentTree,
  type Dendrogram,
  type NextSplit,
  nodeSizes,
} from '../model/hierarchy/dendrogram.ts';

/** What `tree.json` of a run directory has: how its clusters join. */

const count = z.int().check(z.nonnegative());

/** The name of the file in a run directory. */
export const TREE = 'tree.json';

const rows = z.int().check(z.positive());
/** `size`: rows of the union. */
const joins = list(z.object({ a: count, b: count, height: z.number(), size: count }));
export const treeSchema = z.object({
  likelihood: z.enum(['gaussian', 'graph']),
  /** What heights are, for people. */
  measure: z.string().check(z.refine((text) => oneLine(text) === text)),
  /** K, the number of clusters with rows. */
  clusters: z.int().check(z.positive()),
  /** Rows of each cluster. */
  sizes: list(rows),
  joins,
  /** Which clusters would split next, and into what. */
  next: list(z.object({ cluster: count, sizes: z.readonly(z.tuple([rows, rows])), height: z.number() })),
  /** How components join within clusters of several, which have no next split; absent where there are none. */
  components: z.optional(
    list(z.object({ cluster: count, components: list(count), sizes: list(rows), joins })),
  ),
});

/** `tree.json` of a run directory: the tree of merges above the clusters of the result, and below them the first splits and the joins of components. */
export type SavedTree = z.infer<typeof treeSchema>;

/** The tree as it is saved. */
export const savedTree = (
  about: Pick<SavedTree, 'likelihood' | 'measure'>,
  tree: Dendrogram,
  next: readonly NextSplit[] = [],
  components: readonly ComponentTree[] = [],
): SavedTree => ({
  ...about,
  clusters: tree.sizes.length,
  ...withUnions(tree),
  next: [...next],
  ...(components.length && {
    components: components.map(({ cluster, components, ...own }) => ({
      ...{ cluster, components: [...components] },
      ...withUnions(own),
    })),
  }),
});

/** With the rows of each union. */
function withUnions(tree: Dendrogram) {
  const { sizes, joins } = tree;
  const all = nodeSizes(tree);
  return {
    sizes: [...sizes],
    joins: joins.map(({ a, b, height }, i) => ({ a, b, height, size: all[sizes.length + i] })),
  };
}
