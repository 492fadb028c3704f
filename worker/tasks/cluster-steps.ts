import { generator, shuffledPrefix } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Tensor } from '../compute/backends/backend.ts';
import { logDensity, responsibilities } from '../compute/mlp.ts';
import type { Context } from '../context.ts';
import { fieldTargets } from './graph/memberships.ts';
import { localSteps } from './local-steps.ts';

/** Local steps of the clustering net on batches of the shard's rows, which are drawn again each epoch. */
export async function clusterSteps(
  context: Context,
  task: TaskOf<'cluster-steps'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states, seed } = context;
  const { n, scaled } = await context.sample(unit.shard);
  const batch = Math.min(task.batch, n);
  if (batch === 0) return localSteps(backend, states, 'net', task, Float64Array.of(0), null);
  const steps = task.average === 'gradients' ? 1 : task.steps;
  const drawn = shuffledPrefix(
    generator(seed, 'batches', task.epoch, unit.shard),
    n,
    Math.min(n, steps * batch),
  );
  // First, as it throws if the graph is not that of this sample.
  const ofField = task.field && (await fieldTargets(context, task.field, unit.shard, drawn));
  const rows = backend.gather(scaled, drawn);
  const targets = ofField ?? target(context, task, rows);
  const result = await localSteps(backend, states, 'net', task, Float64Array.of(1), (i) => {
    // A shard with fewer rows than its batches take uses rows repeatedly.
    const start = (i * batch) % Math.max(1, drawn.length - batch + 1);
    const x = backend.slice(rows, start, batch);
    const t = backend.slice(targets, start, batch);
    return { x, target: t, free: () => backend.free(x, t) };
  });
  backend.free(rows, targets);
  return result;
}

/** The targets of these rows, [b,K]: the E-step's responsibilities. */
function target({ backend, states }: Context, task: TaskOf<'cluster-steps'>, x: Tensor): Tensor {
  const onDevice = (name: string) => states.onDevice('e-step', name);
  const density =
    task.form === 'product'
      ? backend.quadraticForm(x, onDevice('theta'), task.diagonal)
      : logDensity(backend, x, onDevice('weights'), onDevice('bias'), onDevice('constant'));
  return responsibilities(backend, density);
}
