import { join } from 'node:path';
import { writeNpy } from '../../data/npy.ts';
import type { SyntheticMixture } from '../../data/random-mixture.ts';
import { CHUNK, drawChunk } from '../../data/synth.ts';

/** Six well-separated Gaussians of different shapes. */
const MEANS = [
  [0, 0, 0],
  [12, 1, -2],
  [-3, 14, 4],
  [2, -4, 15],
  [-14, -9, 3],
  [9, -12, -11],
];
export const K = MEANS.length;
export const D = 3;

const mixture: SyntheticMixture = {
  clusters: K,
  dim: D,
  weights: Float64Array.of(0.1, 0.15, 0.15, 0.2, 0.2, 0.2),
  means: Float64Array.from(MEANS.flat()),
  factors: Float64Array.from(
    MEANS.flatMap((_, k) => [1 + 0.1 * k, 0, 0, 0.3, 1, 0, -0.2, 0.1, 1.2 - 0.1 * k]),
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
