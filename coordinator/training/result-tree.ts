import { type SavedTree, savedTree } from '../../data/saved/saved-tree.ts';
import { nextSplits } from '../../model/hierarchy/next-split.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { State } from '../../model/state.ts';
import type { FullPassResult } from './full-pass.ts';
import type { Run } from './run-context.ts';

/**
 * The tree of merges above the clusters of the results, and which of these would split next, without reading rows again: by the
 * statistics of all rows and those of halves in the sample, or by the links between the sample's rows. `state` has the numbers of the
 * results. Null where clusters are too flat for their evidence.
 */
export async function resultTree(
  run: Run,
  state: State,
  { T, counts }: Pick<FullPassResult, 'T' | 'counts'>,
): Promise<SavedTree | null> {
  const { name, heights, levels } = run.likelihood;
  // Those without rows have the last numbers.
  const sizes = counts.filter((rows) => rows > 0);
  try {
    const { joins, halves } = await levels(run, state, T, sizes.length);
    const tree = { likelihood: name, measure: heights.measure };
    return savedTree(tree, { sizes, joins }, nextSplits(sizes, halves, heights.order));
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}
