import { blockHash } from '../../data/blocks.ts';
import { normalizeRows } from '../../data/transform.ts';
import { LARGEST } from '../../data/usable.ts';
import { priority } from '../../model/random.ts';
import { accumulate, statisticsLength } from '../../model/statistics.ts';
import type { Unit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import { type Context, concat, pick, sampledRows } from '../context.ts';

/**
 * Reads every row of the shard once: statistics about `origin`, extremes, bad rows, a hash of each block; keeps the
 * shard's part of the sample. Rows with NaN, infinite or too large values are counted and left out.
 */
export async function moments(context: Context, task: TaskOf<'moments'>, unit: Unit): Promise<Tensors> {
  const { dim, seed } = context;
  const covariance = task.diagonal ? 'diag' : 'full';
  const origin = take(context.states.get('origin'), 'row', 'float64', dim);
  const T = new Float64Array(statisticsLength(dim, covariance));
  const min = new Float64Array(dim).fill(Infinity);
  const max = new Float64Array(dim).fill(-Infinity);
  const blocks = context.blocks(unit);
  const hashes = new Uint8Array(blocks.length * 16);
  const kept: Float32Array[] = [];
  const priorityOf = priority(seed);
  const centred = new Float64Array(dim);
  let bad = 0;
  let firstBad = -1;
  let done = 0;

  for await (const [block, rows] of context.read(blocks)) {
    hashes.set(blockHash(rows), 16 * done++);
    const sampled = sampledRows(block, priorityOf, task.sample);
    if (sampled.length) kept.push(pick(rows, sampled, dim));
    if (task.normalize) normalizeRows(rows, dim);
    for (let i = 0, o = 0; i < block.count; i++, o += dim) {
      let usable = true;
      for (let d = 0; d < dim; d++) {
        const value = rows[o + d];
        centred[d] = value - origin[d];
        usable &&= Math.abs(value) <= LARGEST;
      }
      if (!usable) {
        bad++;
        if (firstBad < 0) firstBad = block.start + i;
        continue;
      }
      for (let d = 0; d < dim; d++) {
        const value = rows[o + d];
        if (value < min[d]) min[d] = value;
        if (value > max[d]) max[d] = value;
      }
      accumulate(T, 0, centred, 0, dim, covariance, 1);
    }
  }
  const sample = concat(kept);
  context.keep(unit.shard, sample);
  return {
    T: nd(T),
    min: nd(min),
    max: nd(max),
    hashes: nd(hashes, blocks.length, 16),
    counts: nd(Float64Array.of(sample.length / dim, bad, firstBad)),
  };
}
