import { type ClusterMemberships, KEPT_MEMBERSHIPS as KEPT } from '../../../model/graph/mean-field.ts';
import { nd } from '../../../proto/tensors.ts';
import type { Run } from '../run-context.ts';
import { areMemberships } from './plausible.ts';
import type { SampleGraph } from './sample-graph.ts';
import { joined, shardResults, summed } from './shard-rounds.ts';

/** The memberships of the sample's rows by the clustering net, which has K outputs. */
export async function netMemberships(
  { dispatcher }: Run,
  graph: SampleGraph,
  k: number,
): Promise<ClusterMemberships> {
  const results = await shardResults(
    dispatcher,
    graph.shards,
    { task: 'memberships' },
    ['net', 'points', 'graph'],
    (rows) => ({
      cluster: ['int32', rows * KEPT],
      share: ['float32', rows * KEPT],
      volume: ['float64', k],
    }),
    (result, rows) => areMemberships(result, rows, graph, k),
  );
  return {
    cluster: joined.int32(results, 'cluster'),
    share: joined.float32(results, 'share'),
    volume: summed(results, 'volume'),
  };
}

export function publishMemberships(
  { dispatcher }: Run,
  { cluster, share, volume }: ClusterMemberships,
): void {
  const n = cluster.length / KEPT;
  dispatcher.publish('memberships', {
    cluster: nd(cluster, n, KEPT),
    share: nd(share, n, KEPT),
    volume: nd(volume),
  });
}
