import { yieldToEventLoop } from '../../../base/slices.ts';
import { type ColumnMap, mapColumns } from '../../../data/transform.ts';
import type { Block } from '../../../model/layout.ts';
import { encoderLayers } from '../../../model/nets/autoencoder.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { FORWARD_ROWS, type TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import { grouped } from '../../blocks.ts';
import type { Backend, Tensor } from '../../compute/backends/backend.ts';
import { forward } from '../../compute/mlp.ts';
import type { Context } from '../../context.ts';
import type { States } from '../../states.ts';

/** The state `encoder-input`: what is done to rows before the encoder. */
export function inputMap(states: States): ColumnMap {
  const map = states.get('encoder-input');
  return { factor: take(map, 'factor', 'float32'), shift: take(map, 'shift', 'float32') };
}

/** Numbers that are read at a time. */
const PIECE = 1 << 22;

/** The rows of these blocks, in pieces of 16 MiB or a block; each is read while the caller uses the one before. */
export async function* piecesOf(context: Context, blocks: Block[]): AsyncGenerator<Float32Array> {
  const pieces = [...grouped(blocks, ({ count }) => count * context.dim, PIECE)];
  let next = pieces.length ? rowsOf(context, pieces[0]) : null;
  for (let i = 1; next; i++) {
    const rows = await next;
    next = i < pieces.length ? rowsOf(context, pieces[i]) : null;
    // Awaited only after these rows; until then a rejection would be unhandled.
    next?.catch(() => {});
    yield rows;
  }
}

async function rowsOf({ dim, readUnchanged }: Context, blocks: Block[]): Promise<Float32Array> {
  const rows = new Float32Array(blocks.reduce((sum, { count }) => sum + count, 0) * dim);
  let at = 0;
  for await (const [, values] of readUnchanged(blocks)) {
    rows.set(values, at);
    at += values.length;
  }
  return rows;
}

/** The layers up to the code of the state `encoder`, W and b in turn, on the device. The caller frees them. */
export function uploadEncoder({ backend, states }: Pick<Context, 'backend' | 'states'>): Tensor[] {
  const state = states.get('encoder');
  const encoder = { widths: [...take(state, 'widths', 'int32')], params: take(state, 'params', 'float32') };
  return encoderLayers(encoder).map(({ values, shape }) => backend.upload(values, shape));
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
      const encoded = await encodeRows(backend, net, inputMap(states), raw);
      codes.set(encoded, at);
      at += encoded.length;
    }
  } finally {
    backend.free(...net);
  }
  return { codes: nd(codes, rows, latent) };
}
