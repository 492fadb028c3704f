import { concat } from '../../model/arrays.ts';
import type { Block } from '../../model/layout.ts';
import { priority } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { covarianceOf, type TaskOf } from '../../proto/tasks.ts';
import { labelDtype, nd, type Tensors, zeros } from '../../proto/tensors.ts';
import { FORWARD_ROWS, forward } from '../compute/mlp.ts';
import type { Context } from '../context.ts';
import { pick, transformFrom, transformRows } from '../rows.ts';
import { sampledRows } from '../samples.ts';

/**
 * Rereads the unit's rows. Returns their hard labels (in the narrowest type), hard float64 statistics of each cluster, the
 * responsibilities if requested, and some rows with their labels for the silhouette. With fences also which rows are outliers,
 * 1 or 0: they have labels, but do not count in the statistics.
 */
export async function fullPass(
  context: Context,
  task: TaskOf<'full-pass'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states } = context;
  const net = states.net('net');
  const k = net.at(-1)!.shape[0];
  const transform = transformFrom(states);
  const { dim } = transform;
  const statistics = context.kernel.scatter(new Float64Array(k * dim), dim, covarianceOf(task));
  const blocks = context.blocks(unit);
  const total = blocks.reduce((sum, block) => sum + block.count, 0);
  const labels = zeros(labelDtype(k), total);
  const flags = transform.fences && new Uint8Array(total);
  const soft = task.soft ? new Float32Array(total * k) : null;
  const priorityOf = priority(context.seed);
  const seenRows: Float32Array[] = [];
  const seenLabels: number[] = [];
  let at = 0;

  const most = Math.min(total, FORWARD_ROWS / 2 + context.layout.blockRows);
  for await (const { batch, raw } of batches(context.readUnchanged(blocks), most, context.dim)) {
    const { scaled, rows, outliers } = await transformRows(backend, transform, raw);
    const layers = forward(backend, net, scaled);
    const z = await backend.argmaxRows(layers.at(-1)!);
    labels.set(z, at);
    if (outliers) flags!.set(outliers, at);
    statistics.add(rows, outliers ? z.map((label, i) => (outliers[i] ? -1 : label)) : z);
    if (soft) {
      const r = backend.softmaxRows(layers.at(-1)!, 0);
      soft.set(await backend.read(r), at * k);
      backend.free(r);
    }
    let first = 0;
    for (const block of batch) {
      const seen = sampledRows(block, priorityOf, task.silhouette).map((i) => first + i);
      seenRows.push(pick(rows, seen, dim));
      seenLabels.push(...seen.map((i) => z[i]));
      first += block.count;
    }
    backend.free(scaled, ...layers);
    at += first;
  }
  const T = statistics.read();
  return {
    labels: nd(labels),
    T: nd(T, k, T.length / k),
    seen: nd(concat(seenRows, Float32Array), seenLabels.length, dim),
    seenLabels: nd(Int32Array.from(seenLabels)),
    ...(flags && { outliers: nd(flags) }),
    ...(soft && { soft: nd(soft, total, k) }),
  };
}

/** Groups small blocks for a common forward pass. Their rows are valid until the next are asked for. */
async function* batches(
  stream: AsyncIterable<[Block, Float32Array]>,
  most: number,
  dim: number,
): AsyncGenerator<{ batch: Block[]; raw: Float32Array }> {
  const memory = new Float32Array(most * dim);
  let batch: Block[] = [];
  let rows = 0;
  for await (const [block, values] of stream) {
    memory.set(values, rows * dim);
    batch.push(block);
    rows += block.count;
    if (rows < FORWARD_ROWS / 2) continue;
    yield { batch, raw: memory.subarray(0, rows * dim) };
    batch = [];
    rows = 0;
  }
  if (batch.length) yield { batch, raw: memory.subarray(0, rows * dim) };
}
