import { groupSizes, nearCopies } from '../../../model/graph/copies.ts';
import {
  type ClusterMemberships,
  hardMemberships,
  sweptMemberships,
} from '../../../model/graph/mean-field.ts';
import { twoNearestNeighbours } from '../../../model/graph/stability.ts';
import { type DegreeGraph, degrees, multiplied, symmetrized } from '../../../model/graph/weights.ts';
import type { Copies, Sample, State } from '../../../model/state.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../model/widths.ts';
import { nd } from '../../../proto/tensors.ts';
import { shardSizes } from '../../rounds/sums.ts';
import { publishTransform } from '../publish.ts';
import type { TrainingRun } from '../run-context.ts';
import { joined, type ShardRows, shardResults, summed } from '../shard-results.ts';

/** Neighbours of each row: with 30 raw MNIST joins fours and nines, with 10 partitions of Fashion-MNIST are less stable. */
const NEIGHBOURS = 20;

/** Clusters with fewer rows join the one that they are linked with most, whatever the resolution. */
export const FEWEST_ROWS = 10;

/** The neighbour graph of the sample (docs/algorithm.md, section 11), which the workers have as states `points` and `graph`. */
export interface SampleGraph extends DegreeGraph {
  readonly shards: ShardRows;
  /** Rows of the sample. */
  readonly n: number;
  /** Their features, [n,D]. */
  readonly rows: Float32Array;
  /** Neighbours of a row, of which edges are made. */
  readonly neighbours: number;
  /** The rows that are not in it. */
  readonly copies: Copies | null;
  /** Rows whose features another one has too. */
  readonly same: number;
  /** The intrinsic dimension of the features, by the two nearest neighbours. */
  readonly dimension: number;
}

/** The graph of a sample, which is made when it is first asked for: the sample may grow, or be that of a checkpoint. */
export interface GraphSource {
  /** `copies`: the rows that the workers have left out; undefined: they are to be looked for, and left out. */
  of(sample: Pick<Sample, 'below'>, copies?: Copies | null): Promise<SampleGraph>;
}

type Means = Pick<TrainingRun, 'dispatcher' | 'd' | 'layout' | 'transform' | 'half' | 'seen'>;

/** Graphs of the sample that the workers have by their transform; the last one is kept. */
export function graphSource(run: Means): GraphSource {
  let last: { below: number; graph: Promise<SampleGraph> } | null = null;
  return {
    of({ below }, copies) {
      if (last?.below !== below) last = { below, graph: sampleGraph(run, below, copies) };
      return last.graph;
    },
  };
}

/** Finds near copies, unless they are known, has workers leave them out, and publishes the graph of the other rows of the sample. */
async function sampleGraph(run: Means, below: number, known?: Copies | null): Promise<SampleGraph> {
  let found = await neighboursOf(run);
  let copies = known ?? null;
  if (known === undefined) {
    const { index, distance, k, n, starts } = found;
    // As many rows in the data as a cluster has, at least, are a cluster.
    const rows = Math.max(n, run.seen ?? run.layout.rows);
    const of = nearCopies(index, distance, k, Math.ceil((FEWEST_ROWS * n) / rows) - 1);
    copies = of && { of, starts };
    publishTransform(run, below, copies);
    if (copies) found = await neighboursOf(run);
  }
  const { shards, starts, n, rows, k, index, distance, weight } = found;
  const edges = symmetrized(index, weight, k);
  const graph = copies ? multiplied(edges, groupSizes(copies.of)) : edges;
  const degree = degrees(graph);
  const total = degree.reduce((a, b) => a + b, 0);
  run.dispatcher.publish('graph', {
    starts: nd(graph.starts),
    index: nd(graph.index),
    weight: nd(graph.weight),
    degree: nd(degree),
    total: nd(Float64Array.of(total)),
  });
  let same = 0;
  for (let row = 0; row < n; row++) if (distance[k * row] === 0) same++;
  const dimension = k < 2 ? 0 : twoNearestNeighbours(distance, k);
  return { shards, starts, n, rows, neighbours: k, graph, degree, total, copies, same, dimension };
}

/** The neighbours of all sample rows that the workers have, by their features, in two rounds; publishes the features. */
async function neighboursOf({ dispatcher, d, layout }: Means) {
  const features = await shardResults(dispatcher, shardSizes(layout), { task: 'sample-rows' });
  const shards = features.map(({ rows }) => rows.data.length / d);
  const n = shards.reduce((a, b) => a + b, 0);
  const k = Math.min(NEIGHBOURS, n - 1);
  const rows = joined.float32(features, 'rows');
  const starts = startsOf(shards);
  dispatcher.publish('points', { rows: nd(rows, n, d), starts: nd(starts) });
  const found = await shardResults(dispatcher, shards, { task: 'neighbours', k });
  const index = joined.int32(found, 'index');
  const distance = joined.float32(found, 'distance');
  return { shards, starts, n, rows, k, index, distance, weight: joined.float64(found, 'weight') };
}

/** The first row of each shard among all sample rows, and the end. */
function startsOf(shards: ShardRows): Int32Array {
  const starts = new Int32Array(shards.length + 1);
  shards.forEach((rows, shard) => {
    starts[shard + 1] = starts[shard] + rows;
  });
  return starts;
}

/** The mean field, which takes the place of an E-step: what the clustering net learns in an epoch. */

/** A run with the graph of its sample, and γ. */
export interface GraphRun {
  readonly run: TrainingRun;
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
