import { yieldToEventLoop } from '../../base/slices.ts';
import { statisticsLength } from '../../model/statistics.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { covarianceOf, FORWARD_ROWS, type TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import { forward } from '../compute/mlp.ts';
import type { Context } from '../context.ts';

/**
 * The soft statistics [K,P] of `statistics`, but in float64, in the model's coordinates and about a point near each cluster's
 * mean: for clusters so flat, or so far from the origin relative to their spread, that float32 products lose their covariance.
 * Responsibilities below `least` do not count: with many clusters most are, and these sums then take less time than products.
 * Caches the hard labels for later tasks.
 */
export async function pivotedStatistics(
  context: Context,
  task: TaskOf<'pivoted-statistics'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states } = context;
  const sample = await context.sample(unit.shard);
  const { rows, n, scaled } = sample;
  const net = states.net('net');
  const k = net.at(-1)!.shape[0];
  const d = scaled.shape[1];
  const covariance = covarianceOf(task);
  const p = statisticsLength(d, covariance);
  const means = take(states.get('means'), 'rows', 'float64', k * d);
  const statistics = context.kernel.softScatter(means, d, covariance);
  const z = new Int32Array(n);
  for (let start = 0; start < n; start += FORWARD_ROWS) {
    // With thousands of clusters a shard takes seconds, in which the coordinator must not think that the worker is gone.
    await yieldToEventLoop();
    const count = Math.min(FORWARD_ROWS, n - start);
    const x = backend.slice(scaled, start, count);
    const layers = forward(backend, net, x);
    const r = backend.softmaxRows(layers.at(-1)!, 0);
    const weights = await backend.read(r);
    z.set(await backend.argmaxRows(layers.at(-1)!), start);
    backend.free(x, r, ...layers);
    statistics.add(rows.subarray(start * d, (start + count) * d), weights, task.least);
  }
  sample.labels = { version: states.version('net'), z };
  return { T: nd(statistics.read(), k, p) };
}
