import { type SavedTree, savedTree } from '../../data/saved/saved-tree.ts';
import { labelsOf } from '../../model/graph/mean-field.ts';
import type { Join } from '../../model/hierarchy/dendrogram.ts';
import { type ClusterHalves, linkedHalves, nextSplits } from '../../model/hierarchy/next-split.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { State } from '../../model/state.ts';
import type { FullPassResult } from './full-pass.ts';
import { graphOfRun } from './graph/graph-run.ts';
import { quickHalves } from './graph/halves.ts';
import { netMemberships } from './graph/membership-rounds.ts';
import { FEWEST_ROWS } from './graph/merge-step.ts';
import { publishNet } from './publish.ts';
import type { Run } from './run-context.ts';
import { finalHalves } from './splits/final-halves.ts';

const MEASURES = {
  gaussian:
    'nats a row: what the evidence loses by the join, divided by the number of all rows; rises towards the root',
  graph:
    'the largest resolution at which the two are worth no less as one; falls towards the root, and is 0 where nothing links them',
};

/** The joins above the clusters, and the halves below them; null for a cluster without any that a split step could propose. */
interface Levels {
  joins: Join[];
  halves: (ClusterHalves | null)[];
}

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
  const { likelihood } = run;
  // Those without rows have the last numbers.
  const sizes = counts.filter((rows) => rows > 0);
  try {
    const { joins, halves } = run.graphs
      ? await byGraph(run, state, sizes.length)
      : await byEvidence(run, state, T, sizes.length);
    const next = nextSplits(sizes, halves, run.graphs ? 'rising' : 'falling');
    return savedTree({ likelihood, measure: MEASURES[likelihood] }, { sizes, joins }, next);
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    return null;
  }
}

async function byEvidence(run: Run, state: State, T: Float64Array[], clusters: number): Promise<Levels> {
  const { config, calculate } = run;
  const { prior } = state;
  const own = T.slice(0, clusters);
  const joins = await calculate('evidenceTree', prior, own, config.alpha);
  const proposals = (await finalHalves(run, state, T)).slice(0, clusters);
  return { joins, halves: await calculate('evidenceHalves', prior, own, proposals, config.alpha) };
}

/** By the memberships that the net gives the rows of the sample. */
async function byGraph(run: Run, state: State, clusters: number): Promise<Levels> {
  const { net, mixture } = state;
  const { k } = mixture;
  const { graph } = await graphOfRun(run, state);
  publishNet(run, net);
  const memberships = await netMemberships(run, graph, k);
  const W = await run.calculate('clusterLinks', graph.graph, memberships);
  const own = new Float64Array(clusters * clusters);
  for (let a = 0; a < clusters; a++) own.set(W.subarray(a * k, a * k + clusters), a * clusters);
  const joins = await run.calculate('mergeTree', own, memberships.volume.slice(0, clusters));
  const { cuts, links } = await quickHalves(run, state, graph, labelsOf(memberships));
  return { joins, halves: linkedHalves(links, cuts, graph.total, FEWEST_ROWS) };
}
