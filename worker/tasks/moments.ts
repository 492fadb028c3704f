import { blockHash, HASH_BYTES } from '../../data/blocks.ts';
import { normalizeRows } from '../../data/transform.ts';
import { MAX_MAGNITUDE } from '../../data/value-range.ts';
import { concat } from '../../model/arrays.ts';
import { priority } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { covarianceOf, type TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';
import { pick } from '../rows.ts';
import { sampledRows } from '../samples.ts';

/**
 * Reads every row of the shard once. Returns statistics about `origin`, minima and maxima, the number of bad rows (with NaN,
 * infinite or too large values, which are left out), and a hash of each block. Keeps the shard's part of the sample.
 */
export async function moments(context: Context, task: TaskOf<'moments'>, unit: WorkUnit): Promise<Tensors> {
  const { dim, seed, kernel } = context;
  const origin = take(context.states.get('origin'), 'row', 'float64', dim);
  const statistics = kernel.scatter(origin, dim, covarianceOf(task));
  const extremes = { min: new Float64Array(dim).fill(Infinity), max: new Float64Array(dim).fill(-Infinity) };
  const blocks = context.blocks(unit);
  const hashes = new Uint8Array(blocks.length * HASH_BYTES);
  const kept: Float32Array[] = [];
  const priorityOf = priority(seed);
  let bad = 0;
  let firstBad = -1;
  let done = 0;

  for await (const [block, rows] of context.read(blocks)) {
    hashes.set(blockHash(rows), HASH_BYTES * done++);
    const sampled = sampledRows(block, priorityOf, task.sample);
    if (sampled.length) kept.push(pick(rows, sampled, dim));
    if (task.normalize) normalizeRows(rows, dim);
    const leaf = kernel.screen(rows, dim, MAX_MAGNITUDE, extremes);
    for (let i = 0; i < leaf.length; i++) {
      if (leaf[i] >= 0) continue;
      bad++;
      if (firstBad < 0) firstBad = block.start + i;
    }
    statistics.add(rows, leaf);
  }
  const sample = concat(kept, Float32Array);
  context.keep(unit.shard, sample, hashes, task.sample);
  return {
    T: nd(statistics.read()),
    min: nd(extremes.min),
    max: nd(extremes.max),
    hashes: nd(hashes, blocks.length, HASH_BYTES),
    counts: nd(Float64Array.of(sample.length / dim, bad, firstBad)),
  };
}
