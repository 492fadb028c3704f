import { generator } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import { type Tensors, take } from '../../proto/tensors.ts';
import type { Tensor } from '../compute/backends/backend.ts';
import type { Context } from '../context.ts';
import { rowsByLabel } from '../rows.ts';
import { localSteps } from './local-steps.ts';

/**
 * Local steps of all K sub-clustering nets at once, on batches of equal size drawn from each cluster. A cluster without rows in
 * this shard gets arbitrary rows; its count of zero excludes the result from the average.
 */
export async function subSteps(
  context: Context,
  task: TaskOf<'sub-steps'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states, seed } = context;
  const { n, scaled } = await context.sample(unit.shard);
  const k = take(states.get('subs'), 'nets', 'int32', 1)[0];
  const dim = scaled.shape[1];
  const members = rowsByLabel(await context.labels(unit.shard), k);
  const counts = Float64Array.from(members, (rows) => rows.length);
  if (n === 0) return localSteps(backend, states, 'subs', task, counts, null);
  const rng = generator(seed, 'sub-batches', task.epoch, unit.shard);
  const index = new Int32Array(k * task.batch);
  return localSteps(backend, states, 'subs', task, counts, () => {
    for (let c = 0, o = 0; c < k; c++) {
      const rows = members[c];
      for (let i = 0; i < task.batch; i++)
        index[o++] = rows.length ? rows[rng.below(rows.length)] : rng.below(n);
    }
    const x = backend.gather(scaled, index, [k, task.batch, dim]);
    const target = distances(context, x);
    return { x, target, free: () => backend.free(x, target) };
  });
}

/** Squared distances to both sub-centres in the model's coordinates, [K,b,2]. */
function distances({ backend, states }: Context, x: Tensor): Tensor {
  return backend.squaredDistances(x, states.onDevice('parts', 'centres'), states.onDevice('parts', 'metric'));
}
