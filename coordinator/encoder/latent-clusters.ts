import { moveOutliers } from '../../data/outlier-bounds.ts';
import type { Source } from '../../data/source.ts';
import { networkRows, type Transform, unitRows } from '../../data/transform.ts';
import { argmaxRows, layersOf, logits, type Net } from '../../model/nets/net.ts';
import type { Seed } from '../../model/random.ts';
import { generator } from '../../model/random.ts';
import type { Tensors } from '../../proto/tensors.ts';
import { netStates, transformTensors } from '../training/publish.ts';

/** Clusters of latent vectors, to whose centres an encoder draws those of their rows. */
export interface LatentClusters {
  /** From latent vectors to the clustering net, and that net, as workers get them. */
  readonly transform: Tensors;
  readonly net: Tensors;
  /** The mean of each cluster, [K,L]; of one without rows, NaN. */
  readonly centres: Float32Array;
  /** The mean over the numbers of a latent vector of their variances. */
  readonly variance: number;
  /** The clusters of some of the rows, always the same. */
  readonly labels: Int32Array;
}

/** Rows of which centres are made, and by which clusterings are compared. */
const MOST_ROWS = 10_000;
/** Rows that are labelled at once. */
const SLICE = 256;

/** The latent vectors of some rows, always the same: [n,L]. */
export async function someVectors(vectors: Source, seed: Seed): Promise<Float32Array> {
  const { dim } = vectors;
  const n = Math.min(vectors.rows, MOST_ROWS);
  // One at random of each of n equal parts of the file, whose order may have a period.
  const draw = generator(seed, 'code-clusters');
  const edge = (i: number) => Math.floor((i * vectors.rows) / n);
  const rows = new Float32Array(n * dim);
  for (let i = 0; i < n; i++) {
    const row = edge(i) + draw.below(edge(i + 1) - edge(i));
    rows.set(await vectors.read(row, 1), i * dim);
  }
  return rows;
}

/** The clusters of latent vectors by a clustering net, as far as these vectors show them. */
export function clustersOf(vectors: Float32Array, transform: Transform, net: Net): LatentClusters {
  const dim = transform.input;
  const n = vectors.length / dim;
  const layers = layersOf(net);
  const k = layers.at(-1)!.cols;
  const labels = new Int32Array(n);
  const counts = new Float64Array(k);
  const sums = new Float64Array(k * dim);
  const [total, squares] = [new Float64Array(dim), new Float64Array(dim)];
  for (let from = 0; from < n; from += SLICE) {
    const rows = vectors.subarray(from * dim, (from + SLICE) * dim);
    const used = rows.slice();
    if (transform.fences) moveOutliers(used, dim, transform.fences);
    unitRows(transform, used);
    const labelled = argmaxRows(logits(layers, networkRows(transform, used)), k);
    labels.set(labelled, from);
    for (const [i, label] of labelled.entries()) {
      counts[label]++;
      for (let j = 0; j < dim; j++) {
        const value = rows[i * dim + j];
        sums[label * dim + j] += value;
        total[j] += value;
        squares[j] += value * value;
      }
    }
  }
  const variances = squares.map((sum, j) => sum / n - (total[j] / n) ** 2);
  return {
    transform: transformTensors(transform),
    net: netStates(net).weights,
    centres: Float32Array.from(sums, (sum, p) => sum / counts[Math.floor(p / dim)]),
    variance: variances.reduce((a, b) => a + b, 0) / dim,
    labels,
  };
}
