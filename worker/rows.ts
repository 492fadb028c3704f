import { yieldToEventLoop } from '../base/slices.ts';
import { withoutOutliers } from '../data/steps/fences.ts';
import { type ColumnMap, mapColumns, scaledColumns } from '../data/steps/linear.ts';
import { applyRowSteps, modelRows, type Transform } from '../data/transform.ts';
import type { Rng } from '../model/random.ts';
import { FORWARD_ROWS } from '../proto/task-limits.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { forward } from './compute/mlp.ts';

export interface Transformed {
  /** Inputs of the networks, on the device [n,dim]. The caller frees it. */
  scaled: Tensor;
  /** Inputs of the model, n×dim. */
  rows: Float32Array;
}

/** Transforms raw rows, outliers to where bounds move them, and says which these are, 1 or 0. Overwrites `raw`. */
export async function transformRows(
  backend: Backend,
  transform: Transform,
  raw: Float32Array,
): Promise<Transformed & { outliers: Uint8Array | null }> {
  const outliers = applyRowSteps(transform, raw);
  return { ...(await transformed(backend, transform, raw)), outliers };
}

/** Transforms raw rows, all but outliers, spread over the cells of grids that their values are on. Overwrites `raw`. */
export async function transformSample(
  backend: Backend,
  transform: Transform,
  raw: Float32Array,
  rng: Rng,
): Promise<Transformed> {
  const { input, fences } = transform;
  const rows = fences ? withoutOutliers(raw, input, fences) : raw;
  applyRowSteps({ ...transform, fences: null }, rows, rng);
  return transformed(backend, transform, rows);
}

/** Rows after the steps before the linear map. */
async function transformed(backend: Backend, transform: Transform, rows: Float32Array): Promise<Transformed> {
  const { input, dim } = transform;
  const n = rows.length / input;
  if (transform.columns) {
    const y = scaledColumns(transform, transform.columns, rows);
    return { scaled: backend.upload(y, [n, dim]), rows: modelRows(transform, y) };
  }
  const x = backend.upload(rows, [n, input]);
  const w = backend.upload(transform.weights, [input, dim]);
  const b = backend.upload(transform.bias, [dim]);
  const scaled = backend.affine(x, w, b, false);
  backend.free(x, w, b);
  return { scaled, rows: modelRows(transform, await backend.read(scaled)) };
}

/** A copy of the rows with these indices. */
export function pick(rows: Float32Array, index: ArrayLike<number>, dim: number): Float32Array {
  const out = new Float32Array(index.length * dim);
  for (let i = 0; i < index.length; i++)
    out.set(rows.subarray(index[i] * dim, (index[i] + 1) * dim), i * dim);
  return out;
}

/** For each of k labels the indices of the rows that have it, in order. Rows with a negative label are in none. */
export function rowsByLabel(labels: Int32Array, k: number): Int32Array[] {
  const counts = new Int32Array(k);
  for (const label of labels) if (label >= 0) counts[label]++;
  const rows = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  for (const [i, label] of labels.entries()) if (label >= 0) rows[label][counts[label]++] = i;
  return rows;
}

/** The codes of raw rows, which are overwritten: [n,latent]. `net`: the layers of the encoder, W and b in turn, on the device. */
export async function encodeRows(
  backend: Backend,
  net: Tensor[],
  input: ColumnMap,
  raw: Float32Array,
): Promise<Float32Array> {
  const [dim, latent] = [input.factor.length, net.at(-1)!.shape[0]];
  const n = raw.length / dim;
  const codes = new Float32Array(n * latent);
  mapColumns(input, raw);
  for (let start = 0; start < n; start += FORWARD_ROWS) {
    await yieldToEventLoop();
    const rows = Math.min(FORWARD_ROWS, n - start);
    const x = backend.upload(raw.subarray(start * dim, (start + rows) * dim), [rows, dim]);
    const layers = forward(backend, net, x);
    codes.set(await backend.read(layers.at(-1)!), start * latent);
    backend.free(x, ...layers);
  }
  return codes;
}
