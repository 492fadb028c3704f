import * as z from 'zod/mini';
import { oneLine } from '../../base/text.ts';
import { type Dendrogram, nodeSizes } from '../../model/dendrogram.ts';
import type { RunFiles } from './run-files.ts';

/** The name of the file in a run directory. */
export const TREE = 'tree.json';

const count = z.int().check(z.nonnegative());
const schema = z.object({
  likelihood: z.enum(['gaussian', 'graph']),
  /** What heights are, for people. */
  measure: z.string().check(z.refine((text) => oneLine(text) === text)),
  /** K, the number of clusters with rows. */
  clusters: z.int().check(z.positive()),
  /** Rows of each cluster. */
  sizes: z.array(z.int().check(z.positive())),
  /** `size`: rows of the union. */
  joins: z.array(z.object({ a: count, b: count, height: z.number(), size: count })),
});

/** `tree.json` of a run directory: the tree of merges above the clusters of the result. */
export type SavedTree = z.infer<typeof schema>;

/** Reads the tree; null if there is none, as in runs of earlier versions. UserError if it is damaged. */
export function readSavedTree(files: RunFiles): SavedTree | null {
  if (!files.has(TREE)) return null;
  const parsed = schema.safeParse(files.json(TREE));
  if (!parsed.success)
    throw files.damaged(
      TREE,
      `${oneLine(parsed.error.issues[0].path.join('.')) || 'its content'} is not as it should be`,
    );
  const problem = problemOf(parsed.data);
  if (problem) throw files.damaged(TREE, problem);
  return parsed.data;
}

/** What is wrong with the tree; null if it joins each node once, until one is left, at heights that go one way. */
function problemOf({ likelihood, clusters, sizes, joins }: SavedTree): string | null {
  if (sizes.length !== clusters) return `it has sizes of ${sizes.length} clusters, not of ${clusters}`;
  if (joins.length !== clusters - 1) return `it has ${joins.length} joins of ${clusters} clusters`;
  const left = new Map(sizes.entries());
  for (const [i, { a, b, height, size }] of joins.entries()) {
    const [one, other] = [left.get(a), left.get(b)];
    if (a >= b || one === undefined || other === undefined) return `joins.${i} is of ${a} and ${b}`;
    if (size !== one + other) return `joins.${i} has ${size} rows, not ${one + other}`;
    const rise = i ? height - joins[i - 1].height : 0;
    if (likelihood === 'graph' ? rise > 0 : rise < 0) return `joins.${i} is out of order`;
    left.delete(a);
    left.delete(b);
    left.set(clusters + i, size);
  }
  return null;
}

/** The tree as it is saved. */
export const savedTree = (about: Pick<SavedTree, 'likelihood' | 'measure'>, tree: Dendrogram): SavedTree => {
  const { sizes, joins } = tree;
  const all = nodeSizes(tree);
  return {
    ...about,
    clusters: sizes.length,
    sizes: [...sizes],
    joins: joins.map(({ a, b, height }, i) => ({ a, b, height, size: all[sizes.length + i] })),
  };
};
