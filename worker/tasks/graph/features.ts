import { yieldToEventLoop } from '../../../base/slices.ts';
import { outliersIn } from '../../../data/fences.ts';
import { unitRows } from '../../../data/transform.ts';
import { columnSketch, sketched } from '../../../model/principal-axes.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../../proto/tensors.ts';
import type { Context } from '../../context.ts';
import { pick } from '../../rows.ts';

/** What the features of the graph likelihood are made of. */

/** Rows in a product: float32 sums of more would lose digits. */
const BLOCK_ROWS = 1024;
/** The products of so many rows of larger numbers could overflow float32. */
const LARGEST = 2 ** 58;

/**
 * Number, sum [D] and products Σxxᵀ [D,D] of every m-th of the shard's sample rows, x = row·factor + shift by column, scaled to unit
 * length if `unit`, as the transform to features does, and then sketched: products in float32 for each block of rows, added in
 * float64.
 */
export async function sampleCovariance(
  context: Context,
  task: TaskOf<'sample-covariance'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, dim, states } = context;
  const columns = states.get('columns');
  const shift = take(columns, 'shift', 'float32', dim);
  const factor = take(columns, 'factor', 'float32', dim);
  const [below] = take(columns, 'below', 'float64', 1);
  const inside = withoutOutliers(await context.rawSample(unit.shard, below), dim, columns);
  const all = inside.length / dim;
  const used = Array.from({ length: Math.ceil(all / task.every) }, (_, i) => i * task.every);
  const raw = task.every === 1 ? inside : pick(inside, used, dim);
  const n = used.length;
  const sketch = task.sketch ? columnSketch(context.seed, dim, task.sketch) : null;
  const width = task.sketch || dim;
  const s = new Float64Array(width);
  const S = new Float64Array(width * width);
  for (let start = 0; start < n; start += BLOCK_ROWS) {
    await yieldToEventLoop();
    const rows = raw.slice(start * dim, Math.min(n, start + BLOCK_ROWS) * dim);
    unitRows({ before: { factor, shift }, normalize: task.unit, input: dim }, rows);
    const own = sketch ? sketched(sketch, rows) : rows;
    let largest = 0;
    for (let i = 0; i < own.length; i += width)
      for (let j = 0; j < width; j++) {
        s[j] += own[i + j];
        largest = Math.max(largest, Math.abs(own[i + j]));
      }
    // A power of two, which changes no digits.
    const unit = largest > LARGEST ? 2 ** Math.ceil(Math.log2(largest)) : 1;
    if (unit > 1) for (let i = 0; i < own.length; i++) own[i] /= unit;
    const x = backend.upload(own, [own.length / width, width]);
    const products = backend.gram(x, x);
    const values = await backend.read(products);
    for (let p = 0; p < values.length; p++) S[p] += values[p] * unit * unit;
    backend.free(x, products);
  }
  return { n: nd(Float64Array.of(n)), s: nd(s), S: nd(S, width, width) };
}

/** The rows within the fences, if there are any. */
function withoutOutliers(raw: Float32Array, dim: number, columns: Tensors): Float32Array {
  if (!('fenced' in columns)) return raw;
  const limit = (name: string) => take(columns, name, 'float32');
  const [low, high] = [limit('low'), limit('high')];
  const flags = outliersIn(raw, dim, { columns: take(columns, 'fenced', 'int32'), low, high });
  return pick(
    raw,
    [...flags.keys()].filter((row) => !flags[row]),
    dim,
  );
}

/** The shard's sample as the model sees it, [n,D]. */
export async function sampleRows(
  context: Context,
  _task: TaskOf<'sample-rows'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { rows, n, scaled } = await context.sample(unit.shard);
  return { rows: nd(rows, n, scaled.shape[1]) };
}
