import {
  type ClusterMemberships,
  hardMemberships,
  KEPT_MEMBERSHIPS as KEPT,
  sweptMemberships,
} from '../../../model/graph/mean-field.ts';
import type { State } from '../../../model/state.ts';
import { nd } from '../../../proto/tensors.ts';
import type { Run } from '../run-context.ts';
import { joined, type SampleGraph, shardResults, summed } from './neighbour-graph.ts';

/** The mean field, which takes the place of an E-step: what the clustering net learns in an epoch. */

/** A run with the graph of its sample, and γ. */
export interface GraphRun {
  readonly run: Run;
  readonly graph: SampleGraph;
  readonly resolution: number;
}

/** J. */
const COUPLING = 2;

const fieldAt = (resolution: number) => ({ coupling: COUPLING, resolution });

/**
 * Publishes memberships after one sweep: from those of the clustering net, or, until it has learned them, from the clusters of the
 * last step. The local steps themselves take another sweep for their rows. Returns the field of both.
 */
export async function publishField(of: GraphRun, state: State) {
  const { run, graph, resolution } = of;
  const start =
    state.frozen > 0
      ? hardMemberships(state.graph!.labels, graph.degree, state.mixture.k)
      : await netMemberships(of);
  const { cluster, share, volume } = sweptOften(of, start, 1);
  run.dispatcher.publish('memberships', {
    cluster: nd(cluster, graph.n, KEPT),
    share: nd(share, graph.n, KEPT),
    volume: nd(volume),
  });
  return fieldAt(resolution);
}

/** The memberships after several sweeps, without the net. */
export const sweptOften = (
  { graph, resolution }: GraphRun,
  start: ClusterMemberships,
  sweeps: number,
): ClusterMemberships => sweptMemberships(graph, start, fieldAt(resolution), sweeps);

/** The memberships of the sample's rows by the clustering net, which the workers have. */
export async function netMemberships({ run: { dispatcher }, graph }: GraphRun): Promise<ClusterMemberships> {
  const results = await shardResults(dispatcher, graph.shards, { task: 'memberships' });
  return {
    cluster: joined.int32(results, 'cluster'),
    share: joined.float32(results, 'share'),
    volume: summed(results, 'volume'),
  };
}
