import { ranges, yieldToEventLoop } from '../../../base/slices.ts';
import { directedWeights } from '../../../model/graph/weights.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { type Neighbours, neighbourKernel } from '../../compute/kernels/neighbour-kernel.ts';
import type { Context } from '../../context.ts';
import { pointsOf, rangeOf } from './states.ts';

/**
 * The k nearest sample rows of each row of a shard, by their features: indices and weights [n,k], and the two smallest distances
 * [n,2]; the only one twice if k is 1.
 */
export async function neighbours(
  { states }: Context,
  { k }: TaskOf<'neighbours'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { rows } = pointsOf(states);
  const d = states.get('points').rows.shape[1];
  const { from, to } = rangeOf(states, unit.shard);
  const { index, distance } = await nearestOf(rows, from, to, d, k);
  const nearest = new Float32Array((to - from) * 2);
  for (let i = 0; i < to - from; i++)
    nearest.set([distance[i * k], distance[i * k + Math.min(1, k - 1)]], 2 * i);
  return {
    index: nd(index, to - from, k),
    weight: nd(directedWeights(distance, k), to - from, k),
    nearest: nd(nearest, to - from, 2),
  };
}

/** Differences of coordinates that are computed without letting heartbeats through: half a second. */
const MOST_DIFFERENCES = 2 ** 31;

/** The neighbours of rows from … to − 1. */
async function nearestOf(
  rows: Float32Array,
  from: number,
  to: number,
  d: number,
  k: number,
): Promise<Neighbours> {
  const nearest = neighbourKernel();
  const index = new Int32Array((to - from) * k);
  const distance = new Float32Array((to - from) * k);
  const most = Math.max(64, Math.floor(MOST_DIFFERENCES / rows.length));
  for (const slice of to > from ? ranges(to - from, most) : []) {
    await yieldToEventLoop();
    const first = from + slice.from;
    const found = nearest(rows, rows.subarray(first * d, (from + slice.to) * d), d, k, first);
    index.set(found.index, slice.from * k);
    distance.set(found.distance, slice.from * k);
  }
  return { index, distance };
}
