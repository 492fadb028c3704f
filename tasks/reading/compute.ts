import { blockHash } from '../../data/blocks.ts';
import { outliersIn } from '../../data/steps/fences.ts';
import { normalizeRows } from '../../data/steps/unit.ts';
import { concat, MAX_MAGNITUDE } from '../../model/arrays.ts';
import { HASH_BYTES } from '../../model/layout.ts';
import { binShift, keysOf } from '../../model/quantile-search.ts';
import { priority } from '../../model/random.ts';
import { QUANTILES } from '../../model/widths.ts';
import { nd, take } from '../../proto/tensors.ts';
import { pick } from '../../worker/rows.ts';
import { sampledRows, type TaskFunction } from '../compute/context.ts';
import { covarianceOf } from '../parameters.ts';

/**
 * Reads every row of the unit once. Returns statistics about `origin`, minima and maxima, the number of bad rows (with NaN,
 * infinite or too large values, which are left out), and a hash of each block. Rows of the sample are kept, or sent.
 */
export const moments: TaskFunction<'moments'> = async (context, task, unit) => {
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
  const sampled = concat(kept, Float32Array);
  if (!task.sends) context.keep(unit, sampled, hashes, task.sample);
  return {
    T: nd(statistics.read()),
    min: nd(extremes.min),
    max: nd(extremes.max),
    hashes: nd(hashes, blocks.length, HASH_BYTES),
    counts: nd(Float64Array.of(sampled.length / dim, bad, firstBad)),
    ...(task.sends && { sampled: nd(sampled, sampled.length / dim, dim) }),
  };
};

/** Rows that are copied at a time. */
const ROWS_AT_ONCE = 4096;

/**
 * Histograms [columns,4,bins] of columns of the shard's sample, as they are in the file, each within a range of keys
 * (model/quantile-search.ts).
 */
const columnHistogram: TaskFunction<'column-histogram'> = async (context, task, unit) => {
  const { dim, states } = context;
  const { bins } = task;
  const state = states.get('key-ranges');
  const columns = take(state, 'columns', 'int32');
  const from = take(state, 'from', 'uint32');
  const to = take(state, 'to', 'uint32');
  const raw = await context.rawSample(unit.shard, task.sample);
  const counts = new Float64Array(from.length * bins);
  const keys = new Uint32Array(raw.length / dim);
  for (let c = 0; c < columns.length; c++) {
    keysOf(raw, columns[c], dim, keys);
    for (let i = c * QUANTILES.length; i < (c + 1) * QUANTILES.length; i++) {
      const [least, most, shift] = [from[i], to[i], binShift(from[i], to[i], bins)];
      for (let row = 0; row < keys.length; row++) {
        const key = keys[row];
        if (key >= least && key <= most) counts[i * bins + ((key - least) >>> shift)]++;
      }
    }
  }
  return { counts: nd(counts, columns.length, QUANTILES.length, bins) };
};

/**
 * Of the shard's sample, as it is in the file: statistics, about `pivot`, minima and maxima of the rows within all bounds, and
 * how many are beyond each, or near it.
 */
export const fencedMoments: TaskFunction<'fenced-moments'> = async (context, task, unit) => {
  const { dim, kernel, states } = context;
  const state = states.get('fences');
  const columns = take(state, 'columns', 'int32');
  const [low, high, nearLow, nearHigh] = ['low', 'high', 'nearLow', 'nearHigh'].map((name) =>
    take(state, name, 'float32', columns.length),
  );
  const raw = await context.rawSample(unit.shard, task.sample);
  const beyond = new Float64Array(columns.length);
  const near = new Float64Array(columns.length);
  const extremes = { min: new Float64Array(dim).fill(Infinity), max: new Float64Array(dim).fill(-Infinity) };
  const statistics = kernel.scatter(take(state, 'pivot', 'float64', dim), dim, covarianceOf(task));
  for (let start = 0; start < raw.length; start += ROWS_AT_ONCE * dim) {
    const rows = raw.slice(start, start + ROWS_AT_ONCE * dim);
    const isOutlier = outliersIn(rows, dim, { columns, low, high });
    for (let c = 0; c < columns.length; c++)
      for (let o = columns[c]; o < rows.length; o += dim) {
        const value = rows[o];
        if (value < low[c] || value > high[c]) beyond[c]++;
        else if (value < nearLow[c] || value > nearHigh[c]) near[c]++;
      }
    // As bad rows, which are left out.
    for (let i = 0; i < isOutlier.length; i++) if (isOutlier[i]) rows[i * dim] = Number.NaN;
    statistics.add(rows, kernel.screen(rows, dim, MAX_MAGNITUDE, extremes));
  }
  return {
    T: nd(statistics.read()),
    min: nd(extremes.min),
    max: nd(extremes.max),
    beyond: nd(beyond),
    near: nd(near),
  };
};

/** The tasks of this file, by name. */
export const tasks = {
  moments,
  'column-histogram': columnHistogram,
  'fenced-moments': fencedMoments,
};
