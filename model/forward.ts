import type { Net } from './net.ts';

/** The forward pass of a multi-layer perceptron as the `cpu` backend computes it: sums are float64, rounded once. */

type F32 = Float32Array;

/** y = x·weights + bias; `weights` is row-major [rows, cols]. */
export interface Layer {
  readonly rows: number;
  readonly cols: number;
  readonly weights: F32;
  readonly bias: F32;
}

/** The layers of a net, or of net `which` where K are stacked in one. */
export function layersOf({ params, shapes }: Pick<Net, 'params' | 'shapes'>, which?: number): Layer[] {
  const part = (i: number) => {
    if (which === undefined) return params[i];
    const size = params[i].length / shapes[i][0];
    return params[i].subarray(which * size, (which + 1) * size);
  };
  return Array.from({ length: shapes.length / 2 }, (_, l) => {
    const [rows, cols] = shapes[2 * l].slice(-2);
    return { rows, cols, weights: part(2 * l), bias: part(2 * l + 1) };
  });
}

/** out[m,n] = a[m,k]·b[k,n], plus `bias` [n] where there is one, rectified if `relu`. */
export function product(
  a: F32,
  m: number,
  k: number,
  b: F32,
  n: number,
  bias: F32 | null,
  relu: boolean,
  out: F32,
): void {
  const row = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    if (bias) row.set(bias);
    else row.fill(0);
    for (let p = 0; p < k; p++) {
      const value = a[i * k + p];
      for (let j = 0, q = p * n; j < n; j++, q++) row[j] += value * b[q];
    }
    for (let j = 0; j < n; j++) out[i * n + j] = relu && row[j] < 0 ? 0 : row[j];
  }
}

/** Outputs of the last layer for each row, with ReLU between the layers. */
export function logits(layers: readonly Layer[], rows: F32): F32 {
  const n = rows.length / layers[0].rows;
  return layers.reduce((x, layer, l) => {
    const out = new Float32Array(n * layer.cols);
    product(x, n, layer.rows, layer.weights, layer.cols, layer.bias, l < layers.length - 1, out);
    return out;
  }, rows);
}

/** The column with the largest value of each row, the first of equals. */
export function argmaxRows(values: F32, cols: number): Int32Array {
  const out = new Int32Array(values.length / cols);
  for (let i = 0, o = 0; i < out.length; i++, o += cols) {
    let best = 0;
    for (let j = 1; j < cols; j++) if (values[o + j] > values[o + best]) best = j;
    out[i] = best;
  }
  return out;
}
