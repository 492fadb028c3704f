import { outliersIn } from '../../data/fences.ts';
import { keyOf } from '../../model/float-order.ts';
import { keysInBin, QUANTILES } from '../../model/quantile-search.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { covarianceOf, type TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';

/**
 * Histograms [columns,4,bins] of columns of the shard's sample, as they are in the file, each within a range of keys
 * (model/float-order.ts).
 */
export async function columnHistogram(
  context: Context,
  task: TaskOf<'column-histogram'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { dim, states } = context;
  const { bins } = task;
  const state = states.get('key-ranges');
  const columns = take(state, 'columns', 'int32');
  const from = take(state, 'from', 'uint32');
  const to = take(state, 'to', 'uint32');
  const raw = await context.rawSample(unit.shard, task.sample);
  const widths = Array.from(from, (least, i) => keysInBin(least, to[i], bins));
  const counts = new Float64Array(from.length * bins);
  for (let o = 0; o < raw.length; o += dim)
    for (let c = 0; c < columns.length; c++) {
      const key = keyOf(raw[o + columns[c]]);
      for (let i = c * QUANTILES.length; i < (c + 1) * QUANTILES.length; i++)
        if (key >= from[i] && key <= to[i]) counts[i * bins + Math.floor((key - from[i]) / widths[i])]++;
    }
  return { counts: nd(counts, columns.length, QUANTILES.length, bins) };
}

/**
 * Of the shard's sample, as it is in the file: statistics, about `pivot`, minima and maxima of the rows within all fences, and
 * how many are beyond each, or near it.
 */
export async function fencedMoments(
  context: Context,
  task: TaskOf<'fenced-moments'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { dim, kernel, states } = context;
  const state = states.get('fences');
  const columns = take(state, 'columns', 'int32');
  const [low, high, nearLow, nearHigh] = ['low', 'high', 'nearLow', 'nearHigh'].map((name) =>
    take(state, name, 'float32', columns.length),
  );
  const raw = await context.rawSample(unit.shard, task.sample);
  const beyond = new Float64Array(columns.length);
  const near = new Float64Array(columns.length);
  for (let o = 0; o < raw.length; o += dim)
    for (let c = 0; c < columns.length; c++) {
      const value = raw[o + columns[c]];
      if (value < low[c] || value > high[c]) beyond[c]++;
      else if (value < nearLow[c] || value > nearHigh[c]) near[c]++;
    }
  const isOutlier = outliersIn(raw, dim, { columns, low, high });
  const min = new Float64Array(dim).fill(Infinity);
  const max = new Float64Array(dim).fill(-Infinity);
  for (let i = 0, o = 0; i < isOutlier.length; i++, o += dim) {
    if (isOutlier[i]) continue;
    for (let d = 0; d < dim; d++) {
      min[d] = Math.min(min[d], raw[o + d]);
      max[d] = Math.max(max[d], raw[o + d]);
    }
  }
  const statistics = kernel.scatter(take(state, 'pivot', 'float64', dim), dim, covarianceOf(task));
  statistics.add(
    raw,
    Int32Array.from(isOutlier, (flag) => -flag),
  );
  return {
    T: nd(statistics.read()),
    min: nd(min),
    max: nd(max),
    beyond: nd(beyond),
    near: nd(near),
  };
}
