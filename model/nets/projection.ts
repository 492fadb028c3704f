import type { Autoencoder } from './autoencoder.ts';
import { netShapes, netSize } from './net.ts';

/** Onto axes: x·weights + bias, [D,q] and [q]. */
export interface Projection {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** The widths of `folded`. */
export const foldedWidths = (widths: readonly number[], { weights, bias }: Projection): number[] => [
  weights.length / bias.length,
  ...widths.slice(1),
];

/** The net of rows that does what `net` does with their projections: both are linear up to the first ReLU. */
export function folded({ widths, params }: Autoencoder, projection: Projection): Autoencoder {
  const { weights, bias } = projection;
  const [q, width] = widths;
  const all = foldedWidths(widths, projection);
  const [first, own] = [q * width, all[0] * width];
  const out = new Float32Array(netSize(netShapes(all, 0)));
  const row = new Float64Array(width);
  /** The product of q numbers and the first weights, and `start`. */
  const product = (values: Float32Array, start: Float32Array | null, to: number) => {
    for (let j = 0; j < width; j++) row[j] = start ? start[j] : 0;
    for (let a = 0; a < q; a++) for (let j = 0; j < width; j++) row[j] += values[a] * params[a * width + j];
    out.set(row, to);
  };
  for (let d = 0; d < all[0]; d++) product(weights.subarray(d * q, (d + 1) * q), null, d * width);
  product(bias, params.subarray(first, first + width), own);
  out.set(params.subarray(first + width), own + width);
  return { widths: all, params: out };
}
