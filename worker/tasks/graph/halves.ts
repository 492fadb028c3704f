import {
  type HalfSides,
  type Halves,
  halfLinks,
  sweepHalves,
  withVolumes,
} from '../../../model/graph/halves.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { Context } from '../../context.ts';
import type { States } from '../../states.ts';
import { sides } from '../cells.ts';
import { graphOf, rangeOf, sampleIn } from './states.ts';

/** Two-way cuts of all clusters of the graph likelihood: sides of a shard's rows, and what these add to volumes and links. */

/** Sides to start from: the first cut by the sub-nets, the others by thresholds along axes of each cluster. */
export async function halfStart(
  context: Context,
  _task: TaskOf<'half-start'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { states } = context;
  const { sample, from, to } = await sampleIn(context, unit.shard);
  const { rows, scaled } = sample;
  const d = scaled.shape[1];
  const state = states.get('half-axes');
  const axes = take(state, 'axes', 'float64');
  const threshold = take(state, 'threshold', 'float64');
  const perCluster = state.axes.shape[1];
  const halves = halvesOf(states, perCluster + 1);
  const { label, cuts } = halves;
  const bySubNet = await sides(context, unit.shard, await context.labels(unit.shard));
  const side = new Float32Array((to - from) * cuts);
  for (let row = from; row < to; row++) {
    const at = (row - from) * cuts;
    side[at] = bySubNet[row - from];
    for (let axis = 0; axis < perCluster; axis++) {
      const own = label[row] * perCluster + axis;
      let along = 0;
      for (let j = 0; j < d; j++) along += rows[(row - from) * d + j] * axes[own * d + j];
      side[at + 1 + axis] = along > threshold[own] ? 1 : 0;
    }
  }
  return sidesResult(halves, withVolumes(halves, side, from, to));
}

/** One sweep of the mean field. */
export async function halfSweep(
  { states }: Context,
  { coupling }: TaskOf<'half-sweep'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const before = allSides(states);
  const halves = halvesOf(states, before.cuts);
  const { from, to } = rangeOf(states, unit.shard);
  return sidesResult(halves, sweepHalves(halves, before, coupling, from, to));
}

/** Rows and volume of both halves [K,cuts,2] and the weight between them [K,cuts], as sums over the shard's rows. */
export async function halfLink(
  { states }: Context,
  _task: TaskOf<'half-links'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { side, cuts } = allSides(states);
  const halves = halvesOf(states, cuts);
  const { from, to } = rangeOf(states, unit.shard);
  const { rows, volume, between } = halfLinks(halves, side, graphOf(states).degree, from, to);
  return { rows: nd(rows), volume: nd(volume), between: nd(between) };
}

function halvesOf(states: States, cuts: number): Halves {
  const labels = states.get('labels');
  return {
    graph: graphOf(states).graph,
    label: take(labels, 'label', 'int32'),
    clusters: take(labels, 'clusters', 'int32', 1)[0],
    cuts,
  };
}

function allSides(states: States): HalfSides & { cuts: number } {
  const tensors = states.get('halves');
  return {
    side: take(tensors, 'side', 'float32'),
    volume: take(tensors, 'volume', 'float64'),
    cuts: tensors.side.shape[1],
  };
}

function sidesResult({ cuts }: Halves, { side, volume }: HalfSides): Tensors {
  return { side: nd(side, side.length / cuts, cuts), volume: nd(volume) };
}
