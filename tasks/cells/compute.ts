import { yieldToEventLoop } from '../../base/slices.ts';
import { binOf } from '../../model/gaussian/splits.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { nd, take } from '../../proto/tensors.ts';
import { forward } from '../../worker/compute/mlp.ts';
import { pick, rowsByLabel } from '../../worker/rows.ts';
import type { Context, TaskFunction } from '../compute/context.ts';
import { covarianceOf } from '../parameters.ts';
import type { TaskOf } from '../table.ts';

/** Tasks about the leaves to which `cells` assigns the rows of each group. */
type CellTask = TaskOf<'cell-sums' | 'cell-scatter' | 'cell-histogram' | 'cell-fourth-moments'>;

/** Tasks on partitions of the sample's rows into leaves: sums, scatter, histograms, fourth moments. Which partition, the coordinator decides. */

/** Number and sum of each leaf's rows, [leaves] and [leaves,D], for an iteration of Lloyd's algorithm. */
export const cellSums: TaskFunction<'cell-sums'> = async (context, task, unit) => {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const { n, s } = context.kernel.sums(rows, d, leaf, task.leaves);
  return { n: nd(n), s: nd(s, task.leaves, d) };
};

/** Hard statistics of each leaf about its pivot, [leaves,P]: in float64, as float32 is too coarse for Hastings ratios. */
const cellScatter: TaskFunction<'cell-scatter'> = async (context, task, unit) => {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const pivots = take(context.states.get(task.pivots), 'rows', 'float64', task.leaves * d);
  const statistics = context.kernel.scatter(pivots, d, covarianceOf(task));
  statistics.add(rows, leaf);
  const T = statistics.read();
  return { T: nd(T, task.leaves, T.length / task.leaves) };
};

/** Histograms of each leaf's rows along each of its axes, [axes,bins]; as many axes for each leaf, one leaf after the other. */
const cellHistogram: TaskFunction<'cell-histogram'> = async (context, task, unit) => {
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
};

/** The leaf of each row of a shard's sample, -1 for none. */
export async function leaves(context: Context, task: CellTask, shard: number) {
  const { rows, scaled } = await context.sample(shard);
  const d = scaled.shape[1];
  const vectors = take(context.states.get(task.vectors), 'rows', 'float64');
  const group = await groups(context, task, shard);
  const leaf = context.kernel.leaves(rows, d, task.cells, vectors, group);
  return { rows, d, leaf };
}

async function groups(context: Context, { groups, byMixture }: CellTask, shard: number) {
  if (groups === 'all') return null;
  const z = await context.labels(shard, byMixture);
  if (groups === 'net') return z;
  const side = await sides(context, shard, z);
  return side.map((value, i) => 2 * z[i] + value);
}

/** Which of its cluster's two sub-clusters the sub-net assigns each row to. */
export async function sides(context: Context, shard: number, z: Int32Array): Promise<Int32Array> {
  const out = new Int32Array(z.length);
  for await (const { members, logits } of subOutputs(context, shard, z)) {
    const side = await context.backend.argmaxRows(logits);
    for (let i = 0; i < members.length; i++) out[members[i]] = side[i];
  }
  return out;
}

/** The outputs of each cluster's sub-net for the cluster's rows, valid until the next are asked for. */
async function* subOutputs({ backend, states, sample }: Context, shard: number, z: Int32Array) {
  const { scaled } = await sample(shard);
  const layers = states.layers('subs');
  const k = layers[0].shape[0];
  for (const [cluster, members] of rowsByLabel(z, k).entries()) {
    if (!members.length) continue;
    const net = layers.map(({ data, shape }) => {
      const size = data.length / k;
      return backend.upload(data.subarray(cluster * size, (cluster + 1) * size), shape.slice(1));
    });
    const x = backend.gather(scaled, members);
    const outputs = forward(backend, net, x);
    try {
      yield { cluster, members, logits: outputs.at(-1)! };
    } finally {
      backend.free(x, ...net, ...outputs);
    }
  }
}

/** Soft statistics of each cluster's two sub-clusters by its sub-net, [2K,P], over the rows that have its label, and how many are on each side, [2K]. */
const subStatistics: TaskFunction<'sub-statistics'> = async (context, task, unit) => {
  const { backend, states, kernel } = context;
  const z = await context.labels(unit.shard);
  const { rows, scaled } = await context.sample(unit.shard);
  const d = scaled.shape[1];
  const covariance = covarianceOf(task);
  const pivots = take(states.get('sub-pivots'), 'rows', 'float64');
  const p = statisticsLength(d, covariance);
  const T = new Float64Array((pivots.length / d) * p);
  const counts = new Float64Array(pivots.length / d);
  for await (const { cluster, members, logits } of subOutputs(context, unit.shard, z)) {
    const softmax = backend.softmaxRows(logits, 0);
    const r = await backend.read(softmax);
    backend.free(softmax);
    for (const side of await backend.argmaxRows(logits)) counts[2 * cluster + side]++;
    const own = kernel.softScatter(pivots.subarray(2 * cluster * d, 2 * (cluster + 1) * d), d, covariance);
    own.add(pick(rows, members, d), r, 0);
    T.set(own.read(), 2 * cluster * p);
  }
  return { T: nd(T, counts.length, p), counts: nd(counts) };
};

/** Of more columns, rows are whitened by products in float32, as those of the E-step are: thirty times as fast. */
const MOST_BY_LOOPS = 32;

/**
 * Σ ‖u‖²·uuᵀ over each leaf's rows, [leaves,D,D], with u = inverse·(x − centre), shortened to a norm of 2√D: no row counts for
 * much more than others. `inverse` is lower triangular.
 */
export const cellFourthMoments: TaskFunction<'cell-fourth-moments'> = async (context, task, unit) => {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const state = context.states.get(task.whitening);
  const centre = take(state, 'centre', 'float64');
  const inverse = take(state, 'inverse', 'float64');
  const F = new Float64Array(task.leaves * d * d);
  if (d <= MOST_BY_LOOPS) addByLoops(F, rows, d, leaf, centre, inverse);
  else
    for (const [l, own] of rowsByLabel(leaf, task.leaves).entries()) {
      const whitening = { centre: centre.subarray(l * d, (l + 1) * d), inverse: inverse.subarray(l * d * d) };
      F.set(await momentsByProducts(context, rows, own, whitening), l * d * d);
    }
  return { F: nd(F, task.leaves, d, d) };
};

/** Adds those of all rows with a leaf to F [leaves,D,D], all in float64. */
export function addByLoops(
  F: Float64Array,
  rows: Float32Array,
  d: number,
  leaf: Int32Array,
  centre: Float64Array,
  inverse: Float64Array,
): void {
  const centred = new Float64Array(d);
  const u = new Float64Array(d);
  for (let i = 0; i < leaf.length; i++) {
    const l = leaf[i];
    if (l < 0) continue;
    for (let j = 0; j < d; j++) centred[j] = rows[i * d + j] - centre[l * d + j];
    let square = 0;
    for (let a = 0, p = l * d * d; a < d; a++) {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += inverse[p++] * centred[j];
      u[a] = sum;
      square += sum * sum;
    }
    const clipped = Math.min(square, 4 * d);
    const weight = square > 0 ? (clipped * clipped) / square : 0;
    for (let a = 0, p = l * d * d; a < d; a++) {
      const scaled = weight * u[a];
      for (let j = 0; j < d; j++) F[p++] += scaled * u[j];
    }
  }
}

/** [D,D], of the rows with these indices; u is rounded to float32, and added up in float64. */
export async function momentsByProducts(
  { backend, kernel }: Context,
  rows: Float32Array,
  members: Int32Array | number[],
  { centre, inverse }: { centre: Float64Array; inverse: Float64Array },
): Promise<Float64Array> {
  const d = centre.length;
  const turned = new Float32Array(d * d);
  for (let a = 0; a < d; a++) for (let j = 0; j <= a; j++) turned[j * d + a] = inverse[a * d + j];
  const weights = backend.upload(turned, [d, d]);
  const bias = backend.upload(new Float32Array(d), [d]);
  const statistics = kernel.softScatter(new Float64Array(d), d, 'full');
  for (let start = 0; start < members.length; start += FORWARD_ROWS) {
    await yieldToEventLoop();
    const own = members.slice(start, start + FORWARD_ROWS);
    const centred = new Float32Array(own.length * d);
    for (const [i, row] of own.entries())
      for (let j = 0; j < d; j++) centred[i * d + j] = rows[row * d + j] - centre[j];
    const x = backend.upload(centred, [own.length, d]);
    const whitened = backend.affine(x, weights, bias, false);
    const u = await backend.read(whitened);
    backend.free(x, whitened);
    statistics.add(u, shortened(u, d), 0);
  }
  backend.free(weights, bias);
  return symmetric(statistics.read(), d);
}

/** Shortens rows to a norm of 2√D, and returns the squares of their norms; 0 for one that is too long for float32. */
function shortened(u: Float32Array, d: number): Float32Array {
  return Float32Array.from({ length: u.length / d }, (_, i) => {
    const row = u.subarray(i * d, (i + 1) * d);
    let square = 0;
    for (let j = 0; j < d; j++) square += row[j] * row[j];
    if (!(square < Infinity)) return 0;
    if (square <= 4 * d) return square;
    const by = Math.sqrt((4 * d) / square);
    for (let j = 0; j < d; j++) row[j] *= by;
    return 4 * d;
  });
}

/** The matrix [D,D] of which statistics have the upper triangle. */
function symmetric(T: Float64Array, d: number): Float64Array {
  const out = new Float64Array(d * d);
  for (let i = 0, p = 1 + d; i < d; i++) for (let j = i; j < d; j++) out[i * d + j] = out[j * d + i] = T[p++];
  return out;
}

/** The tasks of this file, by name. */
export const tasks = {
  'cell-sums': cellSums,
  'cell-scatter': cellScatter,
  'cell-histogram': cellHistogram,
  'cell-fourth-moments': cellFourthMoments,
  'sub-statistics': subStatistics,
};
