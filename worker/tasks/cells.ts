import { binOf } from '../../model/splits.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { type CellTask, covarianceOf, type TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import { forward } from '../compute/mlp.ts';
import type { Context } from '../context.ts';
import { rowsByLabel } from '../rows.ts';

/** Number and sum of each leaf's rows, [leaves] and [leaves,D], for an iteration of Lloyd's algorithm. */
export async function cellSums(
  context: Context,
  task: TaskOf<'cell-sums'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const { n, s } = context.kernel.sums(rows, d, leaf, task.leaves);
  return { n: nd(n), s: nd(s, task.leaves, d) };
}

/** Hard statistics of each leaf about its pivot, [leaves,P]: in float64, as float32 is too coarse for Hastings ratios. */
export async function cellScatter(
  context: Context,
  task: TaskOf<'cell-scatter'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const pivots = take(context.states.get(task.pivots), 'rows', 'float64', task.leaves * d);
  const statistics = context.kernel.scatter(pivots, d, covarianceOf(task));
  statistics.add(rows, leaf);
  const T = statistics.read();
  return { T: nd(T, task.leaves, T.length / task.leaves) };
}

/** Histograms of each leaf's rows along each of its axes, [axes,bins]; as many axes for each leaf, one leaf after the other. */
export async function cellHistogram(
  context: Context,
  task: TaskOf<'cell-histogram'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const state = context.states.get(task.axes);
  const axes = take(state, 'rows', 'float64');
  const centre = take(state, 'centre', 'float64');
  const sd = take(state, 'sd', 'float64');
  const { bins } = task;
  const count = centre.length / task.leaves;
  const projections = context.kernel.project(rows, d, leaf, axes, task.leaves);
  const counts = new Float64Array(centre.length * bins);
  for (let i = 0; i < leaf.length; i++) {
    if (leaf[i] < 0) continue;
    for (let a = leaf[i] * count, p = i * count; a < (leaf[i] + 1) * count; a++, p++)
      counts[a * bins + binOf(projections[p], centre[a], sd[a], bins)]++;
  }
  return { counts: nd(counts, centre.length, bins) };
}

/** The leaf of each row of a shard's sample, -1 for none. */
export async function leaves(context: Context, task: CellTask, shard: number) {
  const { rows, scaled } = await context.sample(shard);
  const d = scaled.shape[1];
  const vectors = take(context.states.get(task.vectors), 'rows', 'float64');
  const group = await groups(context, task.groups, shard);
  const leaf = context.kernel.leaves(rows, d, task.cells, vectors, group);
  return { rows, d, leaf };
}

async function groups(context: Context, kind: CellTask['groups'], shard: number) {
  if (kind === 'all') return null;
  const z = await context.labels(shard);
  if (kind === 'net') return z;
  const side = await sides(context, shard, z);
  return side.map((value, i) => 2 * z[i] + value);
}

/** Which of its cluster's two sub-clusters the sub-net assigns each row to. */
export async function sides(context: Context, shard: number, z: Int32Array): Promise<Int32Array> {
  const { backend, states } = context;
  const { scaled } = await context.sample(shard);
  const layers = states.layers('subs');
  const k = layers[0].shape[0];
  const out = new Int32Array(z.length);
  for (const [c, members] of rowsByLabel(z, k).entries()) {
    if (!members.length) continue;
    const net = layers.map(({ data, shape }) => {
      const size = data.length / k;
      return backend.upload(data.subarray(c * size, (c + 1) * size), shape.slice(1));
    });
    const x = backend.gather(scaled, members);
    const outputs = forward(backend, net, x);
    const side = await backend.argmaxRows(outputs.at(-1)!);
    for (let i = 0; i < members.length; i++) out[members[i]] = side[i];
    backend.free(x, ...net, ...outputs);
  }
  return out;
}
