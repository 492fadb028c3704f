import { checked, type RunFiles } from './run-files.ts';
import { type SavedTree, TREE, treeSchema } from './tree.ts';

/** Reads the tree; null if there is none, as clusters are too flat. UserError if it is damaged. */
export function readSavedTree(files: RunFiles): SavedTree | null {
  if (!files.has(TREE)) return null;
  const tree = checked(files, TREE, treeSchema);
  const problem = problemOf(tree) ?? problemBelow(tree) ?? problemWithin(tree);
  if (problem) throw files.damaged(TREE, problem);
  return tree;
}

/** What is wrong with the tree; null if it joins each node once, until one is left, at heights that go one way. */
function problemOf({
  likelihood,
  clusters,
  sizes,
  joins,
}: Pick<SavedTree, 'likelihood' | 'clusters' | 'sizes' | 'joins'>): string | null {
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

/** What is wrong with the splits below the clusters; null if they are of different clusters, into all of their rows, and in order. */
function problemBelow({ likelihood, sizes, next = [] }: SavedTree): string | null {
  const left = new Map(sizes.entries());
  for (const [i, { cluster, sizes: own, height }] of next.entries()) {
    const size = left.get(cluster);
    if (size === undefined) return `next.${i} is of ${cluster}`;
    if (own[0] + own[1] !== size) return `next.${i} has ${own[0] + own[1]} rows, not ${size}`;
    const rise = i ? height - next[i - 1].height : 0;
    if (likelihood === 'graph' ? rise < 0 : rise > 0) return `next.${i} is out of order`;
    left.delete(cluster);
  }
  return null;
}

/** What is wrong with the trees of components; null if each is one, of another cluster that has no next split. */
function problemWithin({ likelihood, clusters, next = [], components: all = [] }: SavedTree): string | null {
  const known = new Set(next.map(({ cluster }) => cluster));
  for (const [i, { cluster, components, sizes, joins }] of all.entries()) {
    if (cluster >= clusters || known.has(cluster)) return `components.${i} are of ${cluster}`;
    known.add(cluster);
    const problem = problemOf({ likelihood, clusters: components.length, sizes, joins });
    if (problem) return `components.${i}: ${problem}`;
  }
  return null;
}
