import type { State } from '../../../model/state.ts';
import type { Run } from '../run-context.ts';
import type { SampleGraph } from './sample-graph.ts';

/** The graph and the resolution of a run with the graph likelihood. */
export async function graphOfRun(
  { graphs }: Run,
  { graph: own, sample }: State,
): Promise<{ graph: SampleGraph; resolution: number }> {
  if (!graphs || !own) throw new Error('the run has another likelihood');
  return { graph: await graphs.of(sample), resolution: own.resolution };
}
