import { statisticsLength } from '../../model/statistics.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { covarianceOf, type TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import { forward } from '../compute/mlp.ts';
import type { Context } from '../context.ts';

/**
 * Soft statistics of the shard's sample by the clustering net, Σ_i r_ik φ(y_i) for each cluster k, [K,P], in the networks'
 * coordinates. Caches the hard labels for later tasks.
 */
export async function statistics(
  context: Context,
  task: TaskOf<'statistics'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states } = context;
  const sample = await context.sample(unit.shard);
  const net = states.net('net');
  const k = net.at(-1)!.shape[0];
  const dim = sample.scaled.shape[1];
  const p = statisticsLength(dim, covarianceOf(task));
  const T = new Float64Array(k * p);
  const z = new Int32Array(sample.n);
  for (let start = 0; start < sample.n; start += task.block) {
    const rows = Math.min(task.block, sample.n - start);
    const x = rows === sample.n ? sample.scaled : backend.slice(sample.scaled, start, rows);
    const layers = forward(backend, net, x);
    const r = backend.softmaxRows(layers.at(-1)!, 0);
    const features = context.features(unit.shard, start, x, task.diagonal);
    const sums = backend.quadraticMoments(r, features.tensor);
    z.set(await backend.argmaxRows(layers.at(-1)!), start);
    const values = await backend.read(sums);
    for (let i = 0; i < T.length; i++) T[i] += values[i];
    backend.free(...layers, r, sums);
    if (x !== sample.scaled) backend.free(x);
    if (!features.kept) backend.free(features.tensor);
  }
  sample.labels = { version: states.version('net'), z };
  return { T: nd(T, k, p) };
}
