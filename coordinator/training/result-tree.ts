import { type SavedTree, savedTree } from '../../data/saved/saved-tree.ts';
import type { Join } from '../../model/dendrogram.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { State } from '../../model/state.ts';
import type { FullPassResult } from './full-pass.ts';
import { graphOfRun } from './graph/graph-run.ts';
import { linksBetween, netMemberships, publishMemberships } from './graph/membership-rounds.ts';
import { publishNet } from './publish.ts';
import type { Run } from './run-context.ts';

const MEASURES = {
  gaussian:
    'nats a row: what the evidence loses by the join, divided by the number of all rows; rises towards the root',
  graph:
    'the largest resolution at which the two are worth no less as one; falls towards the root, and is 0 where nothing links them',
};

/**
 * The tree of merges above the clusters of the results, without reading rows again: by the statistics of all rows, or by the links
 * between the sample's rows. `state` has the numbers of the results. Null where clusters are too flat for their evidence.
 */
export async function resultTree(
  run: Run,
  state: State,
  { T, counts }: Pick<FullPassResult, 'T' | 'counts'>,
): Promise<SavedTree | null> {
  const { likelihood, config, calculate } = run;
  // Those without rows have the last numbers.
  const sizes = counts.filter((rows) => rows > 0);
  try {
    const joins = run.graphs
      ? await graphJoins(run, state, sizes.length)
      : await calculate('evidenceTree', state.prior, T.slice(0, sizes.length), config.alpha);
    return savedTree({ likelihood, measure: MEASURES[likelihood] }, { sizes, joins });
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}

/** By the memberships that the net gives the rows of the sample. */
async function graphJoins(run: Run, state: State, clusters: number): Promise<Join[]> {
  const { net, mixture } = state;
  const { k } = mixture;
  const { graph } = await graphOfRun(run, state);
  publishNet(run, net);
  const memberships = await netMemberships(run, graph, k);
  publishMemberships(run, memberships);
  const W = await linksBetween(run, graph, k);
  const own = new Float64Array(clusters * clusters);
  for (let a = 0; a < clusters; a++) own.set(W.subarray(a * k, a * k + clusters), a * clusters);
  return run.calculate('mergeTree', own, memberships.volume.slice(0, clusters));
}
