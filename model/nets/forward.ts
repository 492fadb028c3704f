/** The forward pass of a multi-layer perceptron as the `cpu` backend computes it: float64 sums, rounded once. */
import type { Net } from './net.ts';

/** y = x·weights + bias; `weights` is row-major [rows, cols]. */
export interface Layer {
  readonly rows: number;
  readonly cols: number;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** The layers of a net, or of the net with index `which` among K stacked ones. */
export function layersOf({ params, shapes }: Pick<Net, 'params' | 'shapes'>, which?: number): Layer[] {
  const paramsOf = (i: number) => {
    if (which === undefined) return params[i];
    const size = params[i].length / shapes[i][0];
    return params[i].subarray(which * size, (which + 1) * size);
  };
  return Array.from({ length: shapes.length / 2 }, (_, l) => {
    const [rows, cols] = shapes[2 * l].slice(-2);
    return { rows, cols, weights: paramsOf(2 * l), bias: paramsOf(2 * l + 1) };
  });
}

/** out[m,n] = a[m,k]·b[k,n] + bias[n], where a null bias is zero; then max(0, ·) if `relu`. */
export function product(
  a: Float32Array,
  m: number,
  k: number,
  b: Float32Array,
  n: number,
  bias: Float32Array | null,
  relu: boolean,
  out: Float32Array,
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

/** Outputs of the last layer for n×D rows, n×K row-major, with ReLU between the layers. */
export function logits(layers: readonly Layer[], rows: Float32Array): Float32Array {
  const n = rows.length / layers[0].rows;
  return layers.reduce((x, layer, l) => {
    const out = new Float32Array(n * layer.cols);
    product(x, n, layer.rows, layer.weights, layer.cols, layer.bias, l < layers.length - 1, out);
    return out;
  }, rows);
}

/** For each row, the column of its largest value, the first one on a tie. */
export function argmaxRows(values: Float32Array, cols: number): Int32Array {
  const out = new Int32Array(values.length / cols);
  for (let i = 0, o = 0; i < out.length; i++, o += cols) {
    let best = 0;
    let most = values[o];
    for (let j = 1; j < cols; j++) {
      const value = values[o + j];
      if (value > most) {
        best = j;
        most = value;
      }
    }
    out[i] = best;
  }
  return out;
}
