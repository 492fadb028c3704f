import { inSlices, yieldToEventLoop } from '../../../base/slices.ts';
import { partition, partitionInSteps, quality } from '../../../model/graph/louvain.ts';
import { gaussianRows, labelsOfAll, replicateRows, stability } from '../../../model/graph/stability.ts';
import { directedWeights, subgraph, symmetrized } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import { neighbourKernel } from '../../compute/kernels/neighbour-kernel.ts';
import type { Context } from '../../context.ts';
import { graphOf, pointsOf } from './states.ts';

/** Of the whole sample, so many times the resolution of its clusters: finer than they will be, so that merges decide. */
const FINER = 2;

/**
 * Partitions to start from, one of each shard: labels of the whole sample at a multiple of the resolution, and their quality once
 * they have been joined at the resolution itself.
 */
export async function startPartition(
  { states, seed }: Context,
  { resolution }: TaskOf<'start-partition'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { graph } = graphOf(states);
  const rng = generator(seed, 'start-partition', unit.shard);
  const labels = await inSlices(partitionInSteps(graph, FINER * resolution, rng));
  const joined = await inSlices(partitionInSteps(graph, resolution, rng, 1, labels));
  return { labels: nd(labels), quality: nd(Float64Array.of(quality(graph, joined, resolution))) };
}

/**
 * Partitions of replicates, each of the graph among a random share of the sample: of all pairs of a resolution and a replicate,
 * numbered in this order, those whose number is the shard's modulo the number of shards. Labels [own pairs, rows of a replicate].
 */
export async function partitions(
  { states, seed }: Context,
  { resolutions, replicates, share }: TaskOf<'partitions'>,
  unit: WorkUnit,
): Promise<Tensors> {
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
  const all = new Int32Array(labels.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const own of labels) {
    all.set(own, at);
    at += own.length;
  }
  return { labels: nd(all) };
}

/**
 * The stability of partitions of a single Gaussian, at those of the resolutions whose number is the shard's modulo the number of
 * shards, and the rows of a cluster there: [own resolutions] each.
 */
export async function nullPartitions(
  { seed, layout }: Context,
  { variances, rows, neighbours, resolutions, replicates, share }: TaskOf<'null-partitions'>,
  unit: WorkUnit,
): Promise<Tensors> {
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
}
