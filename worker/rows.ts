import { applyColumns, modelRows, normalizeRows, type Transform } from '../data/transform.ts';
import { take } from '../proto/tensors.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import type { States } from './states.ts';

/** The transform as the coordinator sent it. */
export function transformFrom(states: States): Transform {
  const tensors = states.get('transform');
  const bias = take(tensors, 'bias', 'float32');
  const weights = take(tensors, 'weights', 'float32');
  const columns = 'columns' in tensors ? take(tensors, 'columns', 'int32') : null;
  const [normalize, input] = take(tensors, 'shape', 'int32');
  return {
    normalize: normalize === 1,
    input,
    dim: bias.length,
    columns,
    weights,
    bias,
    scale: take(tensors, 'scale', 'float64'),
    offset: take(tensors, 'offset', 'float64'),
  };
}

export interface Transformed {
  /** What the networks see, on the device [n,dim]. Freed by whoever asked. */
  scaled: Tensor;
  /** What the model sees, n×dim. */
  rows: Float32Array;
}

/** Raw rows through the transform. Takes `raw` for its own. */
export async function transformRows(
  backend: Backend,
  transform: Transform,
  raw: Float32Array,
): Promise<Transformed> {
  const { input, dim } = transform;
  const n = raw.length / input;
  if (transform.normalize) normalizeRows(raw, input);
  if (transform.columns) {
    const y = applyColumns(transform, raw);
    return { scaled: backend.upload(y, [n, dim]), rows: modelRows(transform, y) };
  }
  const x = backend.upload(raw, [n, input]);
  const w = backend.upload(transform.weights, [input, dim]);
  const b = backend.upload(transform.bias, [dim]);
  const scaled = backend.affine(x, w, b, false);
  backend.free(x, w, b);
  return { scaled, rows: modelRows(transform, await backend.read(scaled)) };
}

/** The rows at these places, as an array of their own. */
export function pick(rows: Float32Array, index: number[], dim: number): Float32Array {
  const out = new Float32Array(index.length * dim);
  index.forEach((row, i) => {
    out.set(rows.subarray(row * dim, (row + 1) * dim), i * dim);
  });
  return out;
}

/** The rows that have each of k labels, in their order. */
export function rowsByLabel(labels: Int32Array, k: number): Int32Array[] {
  const counts = new Int32Array(k);
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
  const rows = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  for (let i = 0; i < labels.length; i++) rows[labels[i]][counts[labels[i]]++] = i;
  return rows;
}
