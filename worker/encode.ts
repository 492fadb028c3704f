import { yieldToEventLoop } from '../base/slices.ts';
import { type ColumnMap, mapColumns } from '../data/transform.ts';
import { FORWARD_ROWS } from '../proto/task-limits.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { forward } from './compute/mlp.ts';

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
