import { inSlices, ranges, yieldToEventLoop } from '../../base/slices.ts';
import { outliersIn } from '../../data/steps/fences.ts';
import { mapColumns } from '../../data/steps/linear.ts';
import { normalizeRows } from '../../data/steps/unit.ts';
import { concat } from '../../model/arrays.ts';
import { partition, partitionInSteps, quality } from '../../model/graph/louvain.ts';
import { emptyMemberships, keepLargest, meanField, withVolumes } from '../../model/graph/mean-field.ts';
import { gaussianRows, labelsOfAll, replicateRows, stability } from '../../model/graph/stability.ts';
import { type DegreeGraph, directedWeights, subgraph, symmetrized } from '../../model/graph/weights.ts';
import { columnSketch, sketched } from '../../model/principal-axes.ts';
import { generator } from '../../model/random.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../model/widths.ts';
import { Mismatch } from '../../proto/shapes.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Tensor } from '../../worker/compute/backends/backend.ts';
import { neighbourKernel } from '../../worker/compute/kernels/neighbour-kernel.ts';
import { pick } from '../../worker/rows.ts';
import type { Context, States, TaskFunction } from '../compute/context.ts';
import type { FieldTaskParameters } from '../parameters.ts';

/** The states of the graph likelihood, as a shard's tasks read them. */

/** The features of all sample rows, in the order of shards. */
function pointsOf(states: States): { rows: Float32Array; starts: Int32Array } {
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
async function sampleIn(context: Context, shard: number) {
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

/** What the features of the graph likelihood are made of. */

/** Rows in a product: float32 sums of more would lose digits. */
const BLOCK_ROWS = 1024;
/** The products of so many rows of larger numbers could overflow float32. */
const LARGEST = 2 ** 58;

/**
 * Number, sum [D] and products Σxxᵀ [D,D] of every m-th of the shard's sample rows, x = row·factor + shift by column, scaled to unit
 * length if `unit`, as the transform to features does, and then sketched: products in float32 for each block of rows, added in
 * float64.
 */
export const sampleCovariance: TaskFunction<'sample-covariance'> = async (context, task, unit) => {
  const { backend, dim, states } = context;
  const columns = states.get('columns');
  const shift = take(columns, 'shift', 'float32', dim);
  const factor = take(columns, 'factor', 'float32', dim);
  const [below] = take(columns, 'below', 'float64', 1);
  const inside = withoutOutliers(await context.rawSample(unit.shard, below), dim, columns);
  const all = inside.length / dim;
  const used = Array.from({ length: Math.ceil(all / task.every) }, (_, i) => i * task.every);
  const raw = task.every === 1 ? inside : pick(inside, used, dim);
  const n = used.length;
  const sketch = task.sketch ? columnSketch(context.seed, dim, task.sketch) : null;
  const width = task.sketch || dim;
  const s = new Float64Array(width);
  const S = new Float64Array(width * width);
  for (let start = 0; start < n; start += BLOCK_ROWS) {
    await yieldToEventLoop();
    const rows = raw.slice(start * dim, Math.min(n, start + BLOCK_ROWS) * dim);
    mapColumns({ factor, shift }, rows);
    if (task.unit) normalizeRows(rows, dim);
    const own = sketch ? sketched(sketch, rows) : rows;
    let largest = 0;
    for (let i = 0; i < own.length; i += width)
      for (let j = 0; j < width; j++) {
        s[j] += own[i + j];
        largest = Math.max(largest, Math.abs(own[i + j]));
      }
    // A power of two, which changes no digits.
    const unit = largest > LARGEST ? 2 ** Math.ceil(Math.log2(largest)) : 1;
    if (unit > 1) for (let i = 0; i < own.length; i++) own[i] /= unit;
    const x = backend.upload(own, [own.length / width, width]);
    const products = backend.gram(x, x);
    const values = await backend.read(products);
    for (let p = 0; p < values.length; p++) S[p] += values[p] * unit * unit;
    backend.free(x, products);
  }
  return { n: nd(Float64Array.of(n)), s: nd(s), S: nd(S, width, width) };
};

/** The rows within the bounds, if there are any. */
function withoutOutliers(raw: Float32Array, dim: number, columns: Tensors): Float32Array {
  if (!('fenced' in columns)) return raw;
  const limit = (name: string) => take(columns, name, 'float32');
  const [low, high] = [limit('low'), limit('high')];
  const flags = outliersIn(raw, dim, { columns: take(columns, 'fenced', 'int32'), low, high });
  return pick(
    raw,
    [...flags.keys()].filter((row) => !flags[row]),
    dim,
  );
}

/** The shard's sample as the model sees it, [n,D]. */
export const sampleRows: TaskFunction<'sample-rows'> = async (context, { every = 1 }, unit) => {
  const { rows, n, scaled } = await context.sample(unit.shard);
  const d = scaled.shape[1];
  const indices = Array.from({ length: Math.ceil(n / every) }, (_, i) => i * every);
  return { rows: nd(every === 1 ? rows : pick(rows, indices, d), indices.length, d) };
};

/** Differences of coordinates that are computed without letting heartbeats through: half a second. */
const MOST_DIFFERENCES = 2 ** 31;

/**
 * The k nearest sample rows of each row of a shard, by their features: indices, distances and weights [n,k].
 */
export const neighbours: TaskFunction<'neighbours'> = async ({ states }, { k }, unit) => {
  const { rows } = pointsOf(states);
  const d = states.get('points').rows.shape[1];
  const { from, to } = rangeOf(states, unit.shard);
  const n = to - from;
  const nearestOf = neighbourKernel();
  const index = new Int32Array(n * k);
  const distance = new Float32Array(n * k);
  const most = Math.max(64, Math.floor(MOST_DIFFERENCES / rows.length));
  for (const slice of n ? ranges(n, most) : []) {
    await yieldToEventLoop();
    const first = from + slice.from;
    const found = nearestOf(rows, rows.subarray(first * d, (from + slice.to) * d), d, k, first);
    index.set(found.index, slice.from * k);
    distance.set(found.distance, slice.from * k);
  }
  return {
    index: nd(index, n, k),
    weight: nd(directedWeights(distance, k), n, k),
    distance: nd(distance, n, k),
  };
};

/** Of the whole sample, so many times the resolution of its clusters: finer than they will be, so that merges decide. */
const FINER = 2;

/**
 * Partitions to start from, one of each shard: labels of the whole sample at a multiple of the resolution, and their quality once
 * they have been joined at the resolution itself.
 */
const startPartition: TaskFunction<'start-partition'> = async ({ states, seed }, { resolution }, unit) => {
  const { graph } = graphOf(states);
  const rng = generator(seed, 'start-partition', unit.shard);
  const labels = await inSlices(partitionInSteps(graph, FINER * resolution, rng));
  const joined = await inSlices(partitionInSteps(graph, resolution, rng, 1, labels));
  return { labels: nd(labels), quality: nd(Float64Array.of(quality(graph, joined, resolution))) };
};

/**
 * Partitions of replicates, each of the graph among a random share of the sample: of all pairs of a resolution and a replicate,
 * numbered in this order, those whose number is the shard's modulo the number of shards. Labels [own pairs, rows of a replicate].
 */
export const partitions: TaskFunction<'partitions'> = async (
  { states, seed },
  { resolutions, replicates, share },
  unit,
) => {
  const { graph } = graphOf(states);
  const n = graph.starts.length - 1;
  const shards = pointsOf(states).starts.length - 1;
  const labels: Int32Array[] = [];
  for (let pair = unit.shard; pair < resolutions.length * replicates; pair += shards) {
    await yieldToEventLoop();
    const replicate = pair % replicates;
    const own = subgraph(graph, replicateRows(seed, replicate, n, share));
    const rng = generator(seed, 'partition', replicate);
    labels.push(await inSlices(partitionInSteps(own, resolutions[Math.floor(pair / replicates)], rng)));
  }
  return { labels: nd(concat(labels, Int32Array)) };
};

/**
 * The stability of partitions of a single Gaussian, at those of the resolutions whose number is the shard's modulo the number of
 * shards, and the rows of a cluster there: [own resolutions] each.
 */
const nullPartitions: TaskFunction<'null-partitions'> = async (
  { seed, layout },
  { variances, rows, neighbours, resolutions, replicates, share },
  unit,
) => {
  const own = resolutions.filter((_, i) => i % layout.shards === unit.shard);
  const mean = new Float64Array(own.length);
  const size = new Float64Array(own.length);
  if (!own.length) return { mean: nd(mean), size: nd(size) };
  const points = gaussianRows(seed, rows, variances);
  const { index, distance } = neighbourKernel()(points, points, variances.length, neighbours, 0);
  const graph = symmetrized(index, directedWeights(distance, neighbours), neighbours);
  const samples = Array.from({ length: replicates }, (_, replicate) =>
    replicateRows(seed, replicate, rows, share),
  );
  const parts = samples.map((sample) => subgraph(graph, sample));
  own.forEach((resolution, i) => {
    const labels = parts.map((part, replicate) => {
      const found = partition(part, resolution, generator(seed, 'partition', replicate));
      return labelsOfAll(found, samples[replicate], rows);
    });
    const found = stability(labels, rows);
    mean[i] = found.mean;
    size[i] = samples[0].length / found.k;
  });
  return { mean: nd(mean), size: nd(size) };
};

/** Memberships of a shard's rows by the clustering net, and the volume that they give each cluster. */
export const memberships: TaskFunction<'memberships'> = async (context, _task, unit) => {
  const { backend, states } = context;
  const { n, scaled } = (await sampleIn(context, unit.shard)).sample;
  const k = states.net('net').at(-1)!.shape[0];
  const own = emptyMemberships(n);
  for await (const { start, x, logits } of context.outputs(scaled)) {
    const r = backend.softmaxRows(logits, 0);
    const shares = await backend.read(r);
    backend.free(r);
    for (let i = 0; i < x.shape[0]; i++) keepLargest(shares, null, k, i * k, KEPT, own, (start + i) * KEPT);
  }
  const { from, to } = rangeOf(states, unit.shard);
  const { volume } = withVolumes(own, graphOf(states).degree.subarray(from, to), k);
  return { cluster: nd(own.cluster, n, KEPT), share: nd(own.share, n, KEPT), volume: nd(volume) };
};

/** The targets [rows.length,K] of these rows of a shard by the mean field. */
export async function fieldTargets(
  context: Context,
  field: FieldTaskParameters,
  shard: number,
  rows: Int32Array | Uint32Array,
): Promise<Tensor> {
  const { from } = await sampleIn(context, shard);
  const state = context.states.get('memberships');
  const volume = take(state, 'volume', 'float64');
  const memberships = {
    cluster: take(state, 'cluster', 'int32'),
    share: take(state, 'share', 'float32'),
    volume,
  };
  const k = volume.length;
  const at = meanField(graphOf(context.states), memberships, field);
  const target = new Float32Array(rows.length * k);
  for (let i = 0; i < rows.length; i++) {
    const { count, cluster, share } = at(from + rows[i]);
    for (let c = 0; c < count; c++) target[i * k + cluster[c]] = share[c];
  }
  return context.backend.upload(target, [rows.length, k]);
}

/** The tasks of this file, by name. */
export const tasks = {
  'sample-covariance': sampleCovariance,
  'sample-rows': sampleRows,
  neighbours,
  partitions,
  'null-partitions': nullPartitions,
  'start-partition': startPartition,
  memberships,
};
