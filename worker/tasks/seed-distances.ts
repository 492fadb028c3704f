import { seedCandidate } from '../../model/kmeans.ts';
import { generator } from '../../model/random.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';

/** One k-means++ step: the shard's sum of squared distances, and a row drawn with probability proportional to its distance². */
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
  const used = all.slice(0, task.centres * d);
  const cached = sample.seeding && startsWith(used, sample.seeding.centres) ? sample.seeding : null;
  const candidate = n
    ? seedCandidate(
        ...([rows, d, centres, rng.uniform()] as const),
        cached && { centres: cached.centres.length / d, weights: cached.weights },
      )
    : null;
  // Cached, as the next step adds one centre.
  if (candidate) sample.seeding = { centres: used, weights: candidate.weights };
  return {
    weight: nd(Float64Array.of(candidate?.weight ?? 0)),
    row: nd(
      candidate
        ? Float64Array.from(rows.subarray(candidate.row * d, (candidate.row + 1) * d))
        : new Float64Array(d),
    ),
  };
}

const startsWith = (all: Float64Array, first: Float64Array) =>
  first.length <= all.length && first.every((value, i) => value === all[i]);
