import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Context } from '../../context.ts';
import { encodeRows, uploadEncoder } from './encode-rows.ts';
import { inputMap, piecesOf } from './inputs.ts';

/** The codes of the unit's rows, [n,latent]. */
export async function encode(context: Context, _task: TaskOf<'encode'>, unit: WorkUnit): Promise<Tensors> {
  const { backend, states } = context;
  const net = uploadEncoder(context);
  const latent = net.at(-1)!.shape[0];
  const blocks = context.blocks(unit);
  const rows = blocks.reduce((sum, { count }) => sum + count, 0);
  const codes = new Float32Array(rows * latent);
  let at = 0;
  try {
    for await (const raw of piecesOf(context, blocks)) {
      const own = await encodeRows(backend, net, inputMap(states), raw);
      codes.set(own, at);
      at += own.length;
    }
  } finally {
    backend.free(...net);
  }
  return { codes: nd(codes, rows, latent) };
}
