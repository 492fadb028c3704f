import type { WorkUnit } from '../../proto/messages.ts';
import type { TaskOf } from '../../proto/tasks.ts';
import { labelDtype, nd, type Tensors, zeros } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';

/** Hard labels of every so many-th row of the shard's sample, from the first on, and the number of all its rows by label. */
export async function sampleLabels(
  context: Context,
  task: TaskOf<'sample-labels'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const k = context.states.net('net').at(-1)!.shape[0];
  const all = await context.labels(unit.shard);
  const counts = new Float64Array(k);
  for (const label of all) counts[label]++;
  const labels = zeros(labelDtype(k), Math.ceil(all.length / task.every));
  for (let i = 0; i < labels.length; i++) labels[i] = all[i * task.every];
  return { labels: nd(labels), counts: nd(counts) };
}
