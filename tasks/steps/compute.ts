import { unflatten } from '../../model/nets/net.ts';
import { generator, shuffledPrefix } from '../../model/random.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Backend, FlatNet, Tensor, TrainingBatch } from '../../worker/compute/backends/backend.ts';
import {
  clusterOutputs,
  lossAndGradients,
  mean,
  readAll,
  responsibilities,
  trainNet,
} from '../../worker/compute/mlp.ts';
import { rowsByLabel } from '../../worker/rows.ts';
import type { Context, States, TaskFunction } from '../compute/context.ts';
import { fieldTargets } from '../graph/compute.ts';
import type { TaskOf } from '../table.ts';

/** Tasks of local SGD: steps of the clustering net and of the sub-nets on batches of a shard's sample. Averages over shards are the coordinator's. */

/** Local steps of the clustering net on batches of the shard's rows, which are drawn again each epoch. */
export const clusterSteps: TaskFunction<'cluster-steps'> = async (context, task, unit) => {
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
};

/** The targets of these rows, [b,K]: the E-step's responsibilities. */
function target({ backend, states }: Context, task: TaskOf<'cluster-steps'>, x: Tensor): Tensor {
  const density =
    task.form === 'product'
      ? backend.quadraticForm(x, states.onDevice('e-step', 'theta'), task.diagonal)
      : clusterOutputs(backend, states.classifier(true), true, x)[0];
  return responsibilities(backend, density);
}

/**
 * Local steps of all K sub-clustering nets at once, on batches of equal size drawn from each cluster. A cluster without rows in
 * this shard gets arbitrary rows; its count of zero excludes the result from the average.
 */
export const subSteps: TaskFunction<'sub-steps'> = async (context, task, unit) => {
  const { backend, states, seed } = context;
  const { n, scaled } = await context.sample(unit.shard);
  const k = take(states.get('subs'), 'nets', 'int32', 1)[0];
  const dim = scaled.shape[1];
  const members = rowsByLabel(await context.labels(unit.shard, task.byMixture), k);
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
};

/** Squared distances to both sub-centres in the model's coordinates, [K,b,2]. */
function distances({ backend, states }: Context, x: Tensor): Tensor {
  return backend.squaredDistances(x, states.onDevice('parts', 'centres'), states.onDevice('parts', 'metric'));
}

/** A batch on the device, to be freed after its step. */
export interface OwnedBatch extends TrainingBatch {
  free(): void;
}

export interface StepsTask {
  steps: number;
  rate: number;
  /** Adam steps that were taken before. */
  done: number;
  average: 'weights' | 'gradients';
}

/** The clustering net learns targets, the sub-nets what their sub-clusters cost. */
const LOSSES = { net: 'kl', subs: 'cost' } as const;

/**
 * Local SGD: takes `steps` Adam steps on the shard's batches, from the broadcast weights and moments, and
 * returns weights and moments, multiplied by `counts` (the weight of this shard in the average: one number, or one for each
 * stacked net). If gradients are averaged, takes no step and returns the gradients of the first batch. All results are sums
 * over shards; a shard without rows (`batchOf` is null) returns zeros.
 */
export async function localSteps(
  backend: Backend,
  states: States,
  net: 'net' | 'subs',
  task: StepsTask,
  counts: Float64Array,
  batchOf: ((step: number) => OwnedBatch) | null,
): Promise<Tensors> {
  const { data, shapes } = states.flat(net);
  const result = (loss: number, arrays: Record<string, Float32Array>): Tensors => ({
    ...Object.fromEntries(
      Object.entries(arrays).map(([name, values]) => [name, nd(times(values, shapes, counts))]),
    ),
    loss: nd(Float64Array.of(loss)),
    count: nd(counts),
    shards: nd(Float64Array.of(batchOf ? 1 : 0)),
  });
  if (!batchOf) {
    const names = task.average === 'gradients' ? ['gradients'] : ['params', 'first', 'second'];
    return result(0, Object.fromEntries(names.map((name) => [name, new Float32Array(data.length)])));
  }
  if (task.average === 'gradients') {
    const batch = batchOf(0);
    const { loss, grads } = lossAndGradients(backend, states.net(net), batch, LOSSES[net]);
    batch.free();
    const gradients = await readAll(backend, grads);
    const value = await mean(backend, [loss]);
    backend.free(loss, ...grads);
    return result(value, { gradients });
  }
  const start: FlatNet = {
    shapes,
    params: data.slice(),
    first: states.flat(net, 'first').data.slice(),
    second: states.flat(net, 'second').data.slice(),
  };
  const training = trainNet(backend, start, LOSSES[net], task.done);
  try {
    for (let i = 0; i < task.steps; i++) {
      const batch = batchOf(i);
      training.step(batch, task.rate);
      batch.free();
    }
    const { loss, params, first, second } = await training.end();
    return result(loss, { params, first, second });
  } finally {
    training.free();
  }
}

/** Multiplies each of the `counts.length` equal parts of each array by its count. Exactly 0 if the count is 0, even for NaN. */
function times(flat: Float32Array, shapes: FlatNet['shapes'], counts: Float64Array): Float64Array {
  const out = new Float64Array(flat.length);
  let at = 0;
  for (const values of unflatten(flat, shapes)) {
    const size = values.length / counts.length;
    for (let c = 0, j = 0; c < counts.length; c++)
      for (const end = j + size; j < end; j++) out[at++] = counts[c] === 0 ? 0 : counts[c] * values[j];
  }
  return out;
}

/** The tasks of this file, by name. */
export const tasks = {
  'cluster-steps': clusterSteps,
  'sub-steps': subSteps,
};
