import { FORWARD_ROWS } from '../../../proto/tasks.ts';
import { take } from '../../../proto/tensors.ts';
import type { Tensor } from '../../compute/backends/backend.ts';
import { forward } from '../../compute/mlp.ts';
import type { Context } from '../../context.ts';
import { pick, transformFrom, transformRows } from '../../rows.ts';
import { encodeRows } from './encode-rows.ts';
import { inputMap } from './inputs.ts';

/**
 * The centre of each raw row's cluster, [n,L]: by its code under the `encoder` that the round began with, and the clustering net. Of
 * a cluster that has none, that code itself.
 */
export async function centresOfRows(
  { backend, states }: Context,
  encoder: Tensor[],
  raw: Float32Array,
): Promise<Float32Array> {
  const codes = await encodeRows(backend, encoder, inputMap(states), raw.slice());
  const transform = transformFrom(states);
  const net = states.net('net');
  const centres = take(states.get('code-centres'), 'rows', 'float32');
  const latent = transform.input;
  const out = new Float32Array(codes.length);
  for (let at = 0; at < codes.length; at += FORWARD_ROWS * latent) {
    const own = codes.subarray(at, at + FORWARD_ROWS * latent);
    const { scaled } = await transformRows(backend, transform, own.slice());
    const outputs = forward(backend, net, scaled);
    const labels = await backend.argmaxRows(outputs.at(-1)!);
    backend.free(scaled, ...outputs);
    const wanted = pick(centres, labels, latent);
    for (let p = 0; p < own.length; p++) out[at + p] = Number.isNaN(wanted[p]) ? own[p] : wanted[p];
  }
  return out;
}
