import { seedCandidate } from '../../model/kmeans.ts';
import { generator } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';

/** One k-means++ step: the shard's total D² weight, and a row of it drawn by that weight. */
export async function seedDistances(
  context: Context,
  task: TaskOf<'seed-distances'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const sample = await context.sample(unit.shard);
  const { rows, n, scaled } = sample;
  const d = scaled.shape[1];
  const all = take(context.states.get('centres'), 'rows', 'float64');
  const centres = Array.from({ length: task.centres }, (_, k) => all.subarray(k * d, (k + 1) * d));
  const rng = generator(context.seed, 'k-means++', task.draw, unit.shard);
  const own = all.slice(0, task.centres * d);
  const known = sample.seeding && startsWith(own, sample.seeding.centres) ? sample.seeding : null;
  const found = n
    ? seedCandidate(
        ...([rows, d, centres, rng.uniform()] as const),
        known && { centres: known.centres.length / d, weights: known.weights },
      )
    : null;
  // The next step has one centre more.
  if (found) sample.seeding = { centres: own, weights: found.weights };
  return {
    weight: nd(Float64Array.of(found?.weight ?? 0)),
    row: nd(
      found ? Float64Array.from(rows.subarray(found.row * d, (found.row + 1) * d)) : new Float64Array(d),
    ),
  };
}

const startsWith = (all: Float64Array, first: Float64Array) =>
  first.length <= all.length && first.every((value, i) => value === all[i]);
