import type { ClusterMemberships } from '../../../model/graph/mean-field.ts';
import type { DegreeGraph } from '../../../model/graph/weights.ts';
import { Mismatch } from '../../../proto/shapes.ts';
import { take } from '../../../proto/tensors.ts';
import type { Context } from '../../context.ts';
import type { ShardSample } from '../../samples.ts';
import type { States } from '../../states.ts';

/** The states of the graph likelihood, as a shard's tasks read them. */

/** The features of all sample rows, in the order of shards. */
export function pointsOf(states: States): { rows: Float32Array; starts: Int32Array } {
  const points = states.get('points');
  return { rows: take(points, 'rows', 'float32'), starts: take(points, 'starts', 'int32') };
}

/** The rows of a shard among all sample rows: `from … to−1`. */
export function rangeOf(states: States, shard: number): { from: number; to: number } {
  const { starts } = pointsOf(states);
  return { from: starts[shard], to: starts[shard + 1] };
}

/**
 * A shard's sample, and where its rows are among all sample rows. Mismatch if the state `points` has another number of them:
 * only the worker that has the sample can tell.
 */
export async function sampleIn(
  context: Context,
  shard: number,
): Promise<{ sample: ShardSample; from: number; to: number }> {
  const sample = await context.sample(shard);
  const { from, to } = rangeOf(context.states, shard);
  if (to - from !== sample.n)
    throw new Mismatch(`points: ${to - from} rows of shard ${shard}, whose sample has ${sample.n}`);
  return { sample, from, to };
}

/** The neighbour graph of the sample. */
export function graphOf(states: States): DegreeGraph {
  const tensors = states.get('graph');
  return {
    graph: {
      starts: take(tensors, 'starts', 'int32'),
      index: take(tensors, 'index', 'int32'),
      weight: take(tensors, 'weight', 'float64'),
    },
    starts: pointsOf(states).starts,
    degree: take(tensors, 'degree', 'float64'),
    total: take(tensors, 'total', 'float64', 1)[0],
  };
}

/** The memberships of all sample rows, and the volume of each cluster. */
export function membershipsOf(states: States): ClusterMemberships {
  const tensors = states.get('memberships');
  return {
    cluster: take(tensors, 'cluster', 'int32'),
    share: take(tensors, 'share', 'float32'),
    volume: take(tensors, 'volume', 'float64'),
  };
}
