import { yieldToEventLoop } from '../../base/slices.ts';
import { type ColumnMap, mapColumns } from '../../data/steps/linear.ts';
import type { Block } from '../../model/layout.ts';
import { codeLayer, encoderLayers, rateAfter } from '../../model/nets/autoencoder.ts';
import { netShapes } from '../../model/nets/net.ts';
import { generator, shuffledPrefix } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { transformFrom } from '../../proto/model-tensors.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { nd, take } from '../../proto/tensors.ts';
import { grouped, prefetched } from '../../worker/blocks.ts';
import type { Tensor } from '../../worker/compute/backends/backend.ts';
import { clusterOutputs, trainNet } from '../../worker/compute/mlp.ts';
import { encodeRows, pick, transformRows } from '../../worker/rows.ts';
import type { Context, States, TaskFunction } from '../compute/context.ts';
import type { TaskOf } from '../table.ts';

/** Tasks of the auto-encoder: local SGD on parts of a shard, and latent vectors of rows. */

/** The state `encoder-input`: what is done to rows before the encoder. */
function inputMap(states: States): ColumnMap {
  const map = states.get('encoder-input');
  return { factor: take(map, 'factor', 'float32'), shift: take(map, 'shift', 'float32') };
}

/** Numbers that are read at a time. */
const PIECE = 1 << 22;

/** The rows of these blocks, in pieces of 16 MiB or a block; each is read while the caller uses the one before. */
async function* piecesOf(context: Context, blocks: Block[]): AsyncGenerator<Float32Array> {
  const pieces = [...grouped(blocks, ({ count }) => count * context.dim, PIECE)];
  for await (const [, rows] of prefetched(pieces, (piece) => rowsOf(context, piece))) yield rows;
}

/** The number of rows of these blocks. */
const rowCount = (blocks: Block[]) => blocks.reduce((sum, { count }) => sum + count, 0);

async function rowsOf({ dim, readUnchanged }: Context, blocks: Block[]): Promise<Float32Array> {
  const rows = new Float32Array(rowCount(blocks) * dim);
  let at = 0;
  for await (const [, values] of readUnchanged(blocks)) {
    rows.set(values, at);
    at += values.length;
  }
  return rows;
}

/** The layers up to the code of the state `encoder`, W and b in turn, on the device. The caller frees them. */
function uploadEncoder({ backend, states }: Pick<Context, 'backend' | 'states'>): Tensor[] {
  const state = states.get('encoder');
  const encoder = { widths: [...take(state, 'widths', 'int32')], params: take(state, 'params', 'float32') };
  return encoderLayers(encoder).map(({ values, shape }) => backend.upload(values, shape));
}

/** The codes of the unit's rows, [n,latent]. */
export const encode: TaskFunction<'encode'> = async (context, _task, unit) => {
  const { backend, states } = context;
  const net = uploadEncoder(context);
  const latent = net.at(-1)!.shape[0];
  const blocks = context.blocks(unit);
  const rows = rowCount(blocks);
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
};

/**
 * The centre of each raw row's cluster, [n,L]: by its code under the `encoder` that the round began with, and the clustering net, or mixture. Of
 * a cluster that has none, that code itself.
 */
async function centresOfRows(
  { backend, states }: Context,
  encoder: Tensor[],
  byMixture: boolean,
  raw: Float32Array,
): Promise<Float32Array> {
  const codes = await encodeRows(backend, encoder, inputMap(states), raw.slice());
  const transform = transformFrom(states.get('transform'));
  const classifier = states.classifier(byMixture);
  const centres = take(states.get('code-centres'), 'rows', 'float32');
  const latent = transform.input;
  const out = new Float32Array(codes.length);
  for (let at = 0; at < codes.length; at += FORWARD_ROWS * latent) {
    const vectors = codes.subarray(at, at + FORWARD_ROWS * latent);
    const { scaled } = await transformRows(backend, transform, vectors.slice());
    const outputs = clusterOutputs(backend, classifier, byMixture, scaled);
    const labels = await backend.argmaxRows(outputs.at(-1)!);
    backend.free(scaled, ...outputs);
    const wanted = pick(centres, labels, latent);
    for (let p = 0; p < vectors.length; p++) out[at + p] = Number.isNaN(wanted[p]) ? vectors[p] : wanted[p];
  }
  return out;
}

/**
 * Local SGD of the auto-encoder on a part of the shard's rows: one pass, from the broadcast weights and Adam's moments. The
 * unit's blocks are those at these places of the epoch's order, which is drawn again each epoch; they are read in pieces, whose rows
 * are shuffled. With `pull`, codes are drawn to the centres of the rows' clusters. Returns weights, moments, and the mean loss of the
 * steps, without that of the codes: sums over shards.
 */
export const encoderSteps: TaskFunction<'encoder-steps'> = async (context, task, unit) => {
  collectGarbage();
  const began = performance.now();
  const { states } = context;
  const [encoder, moments] = [states.get('encoder'), states.get('encoder-moments')];
  const widths = [...take(encoder, 'widths', 'int32')];
  const net = {
    shapes: netShapes(widths, 0),
    // Copies: training changes them.
    params: take(encoder, 'params', 'float32').slice(),
    first: take(moments, 'first', 'float32').slice(),
    second: take(moments, 'second', 'float32').slice(),
  };
  const backend = context.backend.forNet?.(net.shapes) ?? context.backend;
  const training = trainNet(backend, net, 'squares', task.steps, codeLayer(widths));
  // As the round began; the one in training changes.
  const atStart = task.pull ? uploadEncoder(context) : null;
  try {
    for await (const { rows, noisy, centres, rate } of batchesOf(context, task, unit, atStart)) {
      await yieldToEventLoop();
      const shape = [rows.length / widths[0], widths[0]];
      const target = backend.upload(rows, shape);
      const x = noisy ? backend.upload(noisy, shape) : target;
      const wanted = centres && backend.upload(centres, [shape[0], centres.length / shape[0]]);
      training.step({ x, target, ...(wanted && { codes: { target: wanted, weight: task.pull } }) }, rate);
      backend.free(target, ...(noisy ? [x] : []), ...(wanted ? [wanted] : []));
    }
    const { params, first, second, loss } = await training.end();
    return { params: nd(params), first: nd(first), second: nd(second), loss: nd(Float64Array.of(loss)) };
  } finally {
    if (atStart) context.backend.free(...atStart);
    training.free();
    wasLong = performance.now() - began >= LONG_MS;
    collectGarbage();
  }
};

/** Units of which a collection, of some hundredths of a second, is a small part, ms. */
const LONG_MS = 1000;
let wasLong = true;

/**
 * Weights and moments have 40 MB by default; several rounds' copies of them would wait for the collector, as they are not in its heap
 * (LOG.md). Only workers that a supervisor starts can ask it (worker/host/supervisor.ts).
 */
function collectGarbage(): void {
  if (wasLong) globalThis.gc?.();
}

/**
 * The batches of a pass over the unit's rows: inputs of the encoder, which are its targets too; these with noise, or null; where their
 * codes should be; and the learning rate of the step. `atStart`: the encoder by whose codes rows are in clusters; null without these.
 */
async function* batchesOf(
  context: Context,
  { epoch, batch, rate, done, length, total, noise, byMixture = false }: TaskOf<'encoder-steps'>,
  { shard, from, to }: WorkUnit,
  atStart: Tensor[] | null,
) {
  const { states, seed, dim } = context;
  const input = inputMap(states);
  const blocks = context.shards[shard];
  const order = shuffledPrefix(generator(seed, 'encoder-blocks', epoch, shard), blocks.length, blocks.length);
  const wantedBlocks = [...order.subarray(from, to)].sort((a, b) => a - b).map((index) => blocks[index]);
  const all = rowCount(wantedBlocks);
  const rng = generator(seed, 'encoder-rows', epoch, shard, from);
  let seen = 0;
  for await (const raw of piecesOf(context, wantedBlocks)) {
    const n = raw.length / dim;
    const size = Math.min(batch, n);
    const drawn = shuffledPrefix(rng, n, n);
    const wanted = atStart && (await centresOfRows(context, atStart, byMixture, raw));
    for (let start = 0; start + size <= n; start += size) {
      const batchRows = drawn.subarray(start, start + size);
      const rows = pick(raw, batchRows, dim);
      mapColumns(input, rows);
      const noisy = noise ? rows.map((value) => value + noise * rng.normal()) : null;
      const centres = wanted && pick(wanted, batchRows, wanted.length / n);
      yield { rows, noisy, centres, rate: rateAfter(rate, done + (length * (seen + start)) / all, total) };
    }
    seen += n;
  }
}

/** The tasks of this file, by name. */
export const tasks = {
  'encoder-steps': encoderSteps,
  encode,
};
