import { keepLargest, type Memberships } from '../../../model/graph/mean-field.ts';
import { type FieldParameters, KEPT_MEMBERSHIPS as KEPT, type Task } from '../../../proto/tasks.ts';
import { nd } from '../../../proto/tensors.ts';
import type { Run } from '../run-context.ts';
import { areClusterLinks, areMemberships } from './plausible.ts';
import type { SampleGraph } from './sample-graph.ts';
import { joined, shardResults, shardSums, summed } from './shard-rounds.ts';

/** Rounds about the memberships of the sample's rows, which workers have as the state `memberships`. */

/** Memberships of all sample rows, and the volume of each cluster. */
export interface SampleMemberships extends Memberships {
  readonly volume: Float64Array;
}

/** By the clustering net, which has K outputs. */
export const netMemberships = (run: Run, graph: SampleGraph, k: number): Promise<SampleMemberships> =>
  membershipsBy(run, graph, { task: 'memberships' }, ['net', 'points', 'graph'], k);

/** By the mean field of those that are published. */
export const sweptMemberships = (
  run: Run,
  graph: SampleGraph,
  k: number,
  field: FieldParameters,
): Promise<SampleMemberships> =>
  membershipsBy(run, graph, { task: 'membership-sweep', ...field }, ['points', 'graph', 'memberships'], k);

/** Each row in the cluster of its label. */
export function hardMemberships(
  labels: Int32Array,
  { degree }: Pick<SampleGraph, 'degree'>,
  k: number,
): SampleMemberships {
  const cluster = new Int32Array(labels.length * KEPT);
  const share = new Float32Array(labels.length * KEPT);
  const volume = new Float64Array(k);
  labels.forEach((label, row) => {
    cluster[row * KEPT] = label;
    share[row * KEPT] = 1;
    volume[label] += degree[row];
  });
  return { cluster, share, volume };
}

/** The cluster with the largest membership of each row. */
export const labelsOf = ({ cluster }: Memberships): Int32Array =>
  Int32Array.from({ length: cluster.length / KEPT }, (_, row) => cluster[row * KEPT]);

/** The memberships once cluster k has become cluster `place[k]` of `clusters`. */
export function regrouped(
  { cluster, share, volume }: SampleMemberships,
  place: Int32Array,
  clusters: number,
): SampleMemberships {
  const next: SampleMemberships = {
    cluster: new Int32Array(cluster.length),
    share: new Float32Array(share.length),
    volume: new Float64Array(clusters),
  };
  volume.forEach((own, k) => {
    next.volume[place[k]] += own;
  });
  const merged = new Float64Array(KEPT);
  const into = new Int32Array(KEPT);
  for (let at = 0; at < cluster.length; at += KEPT) {
    let count = 0;
    for (let m = at; m < at + KEPT && share[m] > 0; m++) {
      const k = place[cluster[m]];
      const known = into.subarray(0, count).indexOf(k);
      const slot = known < 0 ? count++ : known;
      merged[slot] = (known < 0 ? 0 : merged[slot]) + share[m];
      into[slot] = k;
    }
    keepLargest(merged, into, count, 0, KEPT, next, at);
  }
  return next;
}

export function publishMemberships({ dispatcher }: Run, { cluster, share, volume }: SampleMemberships): void {
  const n = cluster.length / KEPT;
  dispatcher.publish('memberships', {
    cluster: nd(cluster, n, KEPT),
    share: nd(share, n, KEPT),
    volume: nd(volume),
  });
}

/** w_kl = Σ_ij w_ij r_ik r_jl of the published memberships in K clusters, [K,K]: within a cluster each edge counts twice. */
export async function linksBetween(
  { dispatcher }: Run,
  { shards, degree }: SampleGraph,
  k: number,
): Promise<Float64Array> {
  const { W } = await shardSums(
    dispatcher,
    shards,
    { task: 'cluster-links' },
    ['points', 'graph', 'memberships'],
    { W: k * k },
    (sums, rows) => areClusterLinks(sums, rows, degree),
  );
  return W;
}

async function membershipsBy(
  { dispatcher }: Run,
  graph: SampleGraph,
  task: Task,
  uses: string[],
  k: number,
): Promise<SampleMemberships> {
  const results = await shardResults(
    dispatcher,
    graph.shards,
    task,
    uses,
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
