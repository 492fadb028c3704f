/** One layer: y = x·weights + bias, weights row-major [rows, cols]. */
export interface Layer {
  readonly rows: number;
  readonly cols: number;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** Rows that go through the net together: their activations stay in the cache. */
const BLOCK = 256;

/** The output unit with the largest value for each row of `dim` numbers; ReLU between the layers, ties to the first. */
export function argmaxLabels(layers: readonly Layer[], rows: Float32Array, dim: number): Uint16Array {
  const n = rows.length / dim;
  const labels = new Uint16Array(n);
  const widest = Math.max(...layers.map(({ cols }) => cols));
  const buffers = [new Float32Array(BLOCK * widest), new Float32Array(BLOCK * widest)];
  for (let first = 0; first < n; first += BLOCK) {
    const count = Math.min(BLOCK, n - first);
    let x = rows.subarray(first * dim, (first + count) * dim);
    layers.forEach((layer, l) => {
      const out = buffers[l % 2];
      affine(layer, x, count, out);
      if (l < layers.length - 1) for (let i = 0; i < count * layer.cols; i++) if (out[i] < 0) out[i] = 0;
      x = out;
    });
    const { cols } = layers[layers.length - 1];
    for (let i = 0; i < count; i++) {
      let best = 0;
      for (let c = 1; c < cols; c++) if (x[i * cols + c] > x[i * cols + best]) best = c;
      labels[first + i] = best;
    }
  }
  return labels;
}

function affine({ rows, cols, weights, bias }: Layer, x: Float32Array, count: number, out: Float32Array) {
  for (let i = 0; i < count; i++) {
    const to = i * cols;
    for (let c = 0; c < cols; c++) out[to + c] = bias[c];
    for (let r = 0; r < rows; r++) {
      const value = x[i * rows + r];
      if (value === 0) continue;
      const from = r * cols;
      for (let c = 0; c < cols; c++) out[to + c] += value * weights[from + c];
    }
  }
}
