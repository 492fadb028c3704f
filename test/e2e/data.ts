import { join } from 'node:path';
import { writeNpy } from '../../data/npy.ts';
import { CHUNK, drawChunk, type SyntheticMixture } from '../../data/synth.ts';
import { generator } from '../../model/random.ts';

/** Six well-separated Gaussians of different shapes, in as many columns as need a net (of up to four the mixture alone assigns rows). */
const MEANS = [
  [0, 0, 0, 3, -5],
  [12, 1, -2, 0, 4],
  [-3, 14, 4, -8, 0],
  [2, -4, 15, 5, 7],
  [-14, -9, 3, 2, -3],
  [9, -12, -11, -6, 1],
];
export const K = MEANS.length;
export const D = 5;

const mixture: SyntheticMixture = {
  clusters: K,
  dim: D,
  weights: Float64Array.of(0.1, 0.15, 0.15, 0.2, 0.2, 0.2),
  means: Float64Array.from(MEANS.flat()),
  factors: Float64Array.from(
    MEANS.flatMap((_, k) => [
      ...[1 + 0.1 * k, 0, 0, 0, 0],
      ...[0.3, 1, 0, 0, 0],
      ...[-0.2, 0.1, 1.2 - 0.1 * k, 0, 0],
      ...[0, 0.4, 0.1, 0.9, 0],
      ...[0.1, 0, -0.3, 0.2, 0.7 + 0.1 * k],
    ]),
  ),
};

export interface TestData {
  data: string;
  labels: string;
  rows: Float32Array;
  classes: Int32Array;
}

/** Writes `count` rows of the six Gaussians, each passed through `change`. */
export function easyData(
  folder: string,
  name: string,
  count: number,
  change: (row: number[]) => number[] = (row) => row,
): TestData {
  const x: number[] = [];
  const y: number[] = [];
  let dim = D;
  for (let first = 0; first < count; first += CHUNK) {
    const drawn = drawChunk(mixture, 1n, first / CHUNK, Math.min(CHUNK, count - first));
    for (const [i, label] of drawn.labels.entries()) {
      const row = change([...drawn.x.subarray(i * D, (i + 1) * D)]);
      dim = row.length;
      x.push(...row);
      y.push(label);
    }
  }
  const [data, labels] = [join(folder, `${name}.npy`), join(folder, `${name}-y.npy`)];
  writeNpy(data, '<f4', [count, dim], x);
  writeNpy(labels, '<i4', [count], y);
  return { data, labels, rows: Float32Array.from(x), classes: Int32Array.from(y) };
}

/** Columns of the data below, more than for which a Gaussian mixture is taken without a look at them. */
export const MANY = 40;

/**
 * Six clusters like those of an embedding: all directions differ, by noise whose variances fall as 1/i, so that the graph
 * likelihood is chosen.
 */
export const embeddedData = (folder: string, name: string, count: number) =>
  wideData(folder, name, count, K, 4 / Math.sqrt(MANY), MANY, (i) => (i + 1) ** -0.5);

/** Six clusters in three directions, beside little noise in all: a Gaussian mixture on these three is chosen. */
export const thinData = (folder: string, name: string, count: number) =>
  wideData(folder, name, count, K, 9, 3, (i) => (i < 3 ? 1 : 0.05));

/** Clusters with normal centres, `spread` apart in the first `axes` directions; `deviation` of the noise in each direction. */
function wideData(
  folder: string,
  name: string,
  count: number,
  clusters: number,
  spread: number,
  axes: number,
  deviation: (i: number) => number,
): TestData {
  const { normal, below } = generator(7n, 'wide');
  const vector = (length: number) => Float64Array.from({ length }, normal);
  const centres = Array.from({ length: clusters }, () => vector(axes));
  const mirror = vector(MANY);
  const square = mirror.reduce((sum, v) => sum + v * v, 0);
  const rows = new Float32Array(count * MANY);
  const classes = new Int32Array(count);
  for (let row = 0; row < count; row++) {
    const own = (classes[row] = below(clusters));
    const x = vector(MANY).map((noise, i) => deviation(i) * noise + spread * (centres[own][i] ?? 0));
    // Reflected, so that no direction is a column.
    const along = x.reduce((sum, v, i) => sum + v * mirror[i], 0);
    for (let i = 0; i < MANY; i++) rows[row * MANY + i] = x[i] - (2 * along * mirror[i]) / square;
  }
  const [data, labels] = [join(folder, `${name}.npy`), join(folder, `${name}-y.npy`)];
  writeNpy(data, '<f4', [count, MANY], rows);
  writeNpy(labels, '<i4', [count], classes);
  return { data, labels, rows, classes };
}
