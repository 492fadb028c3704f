// Shared by the tests of the graph likelihood's tasks: the states that they read, for the sample of a world.
import type { Memberships } from '../../model/graph/mean-field.ts';
import { degrees, directedWeights, type Graph, symmetrized } from '../../model/graph/weights.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../model/widths.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { nearest, randomMemberships, sharesOf, volumesOf } from '../model/graph/support.ts';
import { D, momentsOf, range, type World } from './support.ts';

const NEIGHBOURS = 6;

export interface SampleGraph {
  /** x of all sample rows, shard after shard. */
  rows: Float32Array;
  /** Where each shard's rows begin, and the end. */
  starts: Int32Array;
  graph: Graph;
  degree: Float64Array;
  total: number;
  memberships: Memberships;
  /** The same as a matrix [n,k]. */
  shares: number[][];
  states: Record<string, Tensors>;
}

/** The graph of a world's sample, with random memberships in k clusters. */
export function sampleGraphOf(w: World, k: number): SampleGraph {
  const samples = range(w.layout.shards).map((shard) => w.sampleOf(shard));
  const rows = Float32Array.from(samples.flat().flatMap((row) => w.x(row)));
  const starts = Int32Array.from([0, ...samples.map((_, s) => samples.slice(0, s + 1).flat().length)]);
  const n = samples.flat().length;
  const { index, distance } = nearest(rows, D, NEIGHBOURS);
  const graph = symmetrized(index, directedWeights(distance, NEIGHBOURS), NEIGHBOURS);
  const degree = degrees(graph);
  const total = degree.reduce((a, b) => a + b, 0);
  const memberships = randomMemberships(1, n, k, KEPT);
  const shares = sharesOf(memberships, k, KEPT);
  const { mean } = momentsOf(w.rowsOf(0).map((row) => [...w.raw.subarray(row * D, (row + 1) * D)]));
  return {
    ...{ rows, starts, graph, degree, total, memberships, shares },
    states: {
      columns: {
        shift: nd(Float32Array.from(mean, (value, d) => -value / (d + 1))),
        factor: nd(Float32Array.from(mean, (_, d) => 1 / (d + 1))),
        below: nd(Float64Array.of(w.below)),
      },
      points: { rows: nd(rows, n, D), starts: nd(starts) },
      graph: {
        ...{ starts: nd(graph.starts), index: nd(graph.index), weight: nd(graph.weight) },
        ...{ degree: nd(degree), total: nd(Float64Array.of(total)) },
      },
      memberships: {
        cluster: nd(memberships.cluster, n, KEPT),
        share: nd(memberships.share, n, KEPT),
        volume: nd(volumesOf(shares, degree)),
      },
    },
  };
}
