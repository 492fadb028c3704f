import { type ClusterMemberships, hardMemberships } from '../../../model/graph/mean-field.ts';
import type { State } from '../../../model/state.ts';
import type { FieldParameters } from '../../../proto/tasks.ts';
import type { Run } from '../run-context.ts';
import { graphOfRun } from './graph-run.ts';
import { netMemberships, publishMemberships } from './membership-rounds.ts';

/** The mean field, which takes the place of an E-step: what the clustering net learns in an epoch. */

/** J. */
const COUPLING = 2;

/** The states that local steps need with it. */
export const FIELD_STATES = ['points', 'graph', 'memberships'];

/**
 * Publishes memberships after one sweep: from those of the clustering net, or, until it has learned them, from the clusters of the
 * last step. The local steps themselves take another sweep for their rows. Returns the field of both.
 */
export async function publishField(run: Run, state: State): Promise<FieldParameters> {
  const { graph, resolution } = await graphOfRun(run, state);
  const { k } = state.mixture;
  const start =
    state.frozen > 0
      ? hardMemberships(state.graph!.labels, graph.degree, k)
      : await netMemberships(run, graph, k);
  publishMemberships(run, await sweptOften(run, state, start, 1));
  return fieldAt(resolution);
}

/** The memberships after several sweeps, without the net. */
export async function sweptOften(
  run: Run,
  state: State,
  start: ClusterMemberships,
  sweeps: number,
): Promise<ClusterMemberships> {
  const { graph, resolution } = await graphOfRun(run, state);
  return run.calculate('sweptMemberships', graph, start, fieldAt(resolution), sweeps);
}

const fieldAt = (resolution: number): FieldParameters => ({ coupling: COUPLING, resolution });
