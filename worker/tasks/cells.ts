import { BINS, binOf } from '../../model/pca-split.ts';
import { accumulate, statisticsLength } from '../../model/statistics.ts';
import type { Unit } from '../../proto/messages.ts';
import type { Cell, TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';
import { forward } from '../mlp.ts';
import { rowsByLabel } from './rows-by-label.ts';

type CellTask = TaskOf<'cell-sums'> | TaskOf<'cell-scatter'> | TaskOf<'cell-histogram'>;

/** Rows and sums of each leaf: what a Lloyd round needs. */
export async function cellSums(context: Context, task: TaskOf<'cell-sums'>, unit: Unit): Promise<Tensors> {
  const n = new Float64Array(task.leaves);
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const s = new Float64Array(task.leaves * d);
  for (let i = 0, o = 0; i < leaf.length; i++, o += d) {
    const l = leaf[i];
    if (l < 0) continue;
    n[l]++;
    for (let j = 0, q = l * d; j < d; j++, q++) s[q] += rows[o + j];
  }
  return { n: nd(n), s: nd(s, task.leaves, d) };
}

/** Hard float64 statistics of each leaf about its pivot, [leaves,P]: float32 products are too coarse for ratios. */
export async function cellScatter(
  context: Context,
  task: TaskOf<'cell-scatter'>,
  unit: Unit,
): Promise<Tensors> {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const covariance = task.diagonal ? 'diag' : 'full';
  const p = statisticsLength(d, covariance);
  const T = new Float64Array(task.leaves * p);
  const pivots = take(context.states.get(task.pivots), 'rows', 'float64', task.leaves * d);
  const centred = new Float64Array(d);
  for (let i = 0; i < leaf.length; i++) {
    const l = leaf[i];
    if (l < 0) continue;
    for (let j = 0; j < d; j++) centred[j] = rows[i * d + j] - pivots[l * d + j];
    accumulate(T, l * p, centred, 0, d, covariance, 1);
  }
  return { T: nd(T, task.leaves, p) };
}

/** Histogram of each leaf's rows along its axis, [leaves,1024]. */
export async function cellHistogram(
  context: Context,
  task: TaskOf<'cell-histogram'>,
  unit: Unit,
): Promise<Tensors> {
  const { rows, d, leaf } = await leaves(context, task, unit.shard);
  const state = context.states.get(task.axes);
  const axes = take(state, 'rows', 'float64', task.leaves * d);
  const centre = take(state, 'centre', 'float64', task.leaves);
  const sd = take(state, 'sd', 'float64', task.leaves);
  const counts = new Float64Array(task.leaves * BINS);
  for (let i = 0; i < leaf.length; i++) {
    const l = leaf[i];
    if (l >= 0) counts[l * BINS + binOf(dot(rows, i * d, axes, l * d, d), centre[l], sd[l])]++;
  }
  return { counts: nd(counts, task.leaves, BINS) };
}

/** The leaf of each sample row of a shard, -1 for none. */
async function leaves(context: Context, task: CellTask, shard: number) {
  const { rows, n, scaled } = await context.sample(shard);
  const d = scaled.shape[1];
  const vectors = take(context.states.get(task.vectors), 'rows', 'float64');
  const group = await groups(context, task.groups, shard);
  const leaf = new Int32Array(n);
  for (let i = 0; i < n; i++) leaf[i] = leafOf(task.cells[group ? group[i] : 0], rows, i * d, vectors, d);
  return { rows, d, leaf };
}

async function groups(context: Context, kind: CellTask['groups'], shard: number) {
  if (kind === 'all') return null;
  const z = await context.labels(shard);
  if (kind === 'net') return z;
  const side = await sides(context, shard, z);
  return side.map((value, i) => 2 * z[i] + value);
}

/** Which of its cluster's two sub-clusters the sub-net gives each row. */
async function sides(context: Context, shard: number, z: Int32Array): Promise<Int32Array> {
  const { backend, states } = context;
  const { scaled } = await context.sample(shard);
  const layers = states.layers('subs');
  const k = layers[0].shape[0];
  const out = new Int32Array(z.length);
  for (const [c, mine] of rowsByLabel(z, k).entries()) {
    if (!mine.length) continue;
    const net = layers.map(({ data, shape }) => {
      const size = data.length / k;
      return backend.upload(data.subarray(c * size, (c + 1) * size), shape.slice(1));
    });
    const x = backend.gather(scaled, mine);
    const outputs = forward(backend, net, x);
    const side = await backend.argmaxRows(outputs.at(-1)!);
    for (let i = 0; i < mine.length; i++) out[mine[i]] = side[i];
    backend.free(x, ...net, ...outputs);
  }
  return out;
}

function leafOf(cell: Cell, x: Float32Array, o: number, vectors: Float64Array, d: number): number {
  let at = cell;
  while (typeof at !== 'number') {
    const side =
      'near' in at ? nearest(at.near, x, o, vectors, d) : +(dot(x, o, vectors, at.axis * d, d) >= at.at);
    at = at.into[side];
  }
  return at;
}

function nearest(centres: number[], x: Float32Array, o: number, vectors: Float64Array, d: number): number {
  let best = 0;
  let least = Infinity;
  for (let j = 0; j < centres.length; j++) {
    const c = centres[j] * d;
    let sum = 0;
    for (let i = 0; i < d; i++) {
      const delta = x[o + i] - vectors[c + i];
      sum += delta * delta;
    }
    if (sum < least) {
      least = sum;
      best = j;
    }
  }
  return best;
}

function dot(x: Float32Array, o: number, y: Float64Array, q: number, d: number): number {
  let sum = 0;
  for (let j = 0; j < d; j++) sum += x[o + j] * y[q + j];
  return sum;
}
