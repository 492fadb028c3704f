import {
  emptyMemberships,
  KEPT_MEMBERSHIPS as KEPT,
  keepLargest,
  type Memberships,
  meanField,
  withVolumes,
} from '../../../model/graph/mean-field.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { type FieldParameters, FORWARD_ROWS, type TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Tensor } from '../../compute/backends/backend.ts';
import { forward } from '../../compute/mlp.ts';
import type { Context } from '../../context.ts';
import { graphOf, membershipsOf, rangeOf, sampleIn } from './states.ts';

/** Memberships of a shard's rows by the clustering net, and the volume that they give each cluster. */
export async function memberships(
  context: Context,
  _task: TaskOf<'memberships'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { backend, states } = context;
  const { n, scaled } = (await sampleIn(context, unit.shard)).sample;
  const net = states.net('net');
  const k = net.at(-1)!.shape[0];
  const own = emptyMemberships(n);
  for (let start = 0; start < n; start += FORWARD_ROWS) {
    const rows = Math.min(FORWARD_ROWS, n - start);
    const x = rows === n ? scaled : backend.slice(scaled, start, rows);
    const layers = forward(backend, net, x);
    const r = backend.softmaxRows(layers.at(-1)!, 0);
    const shares = await backend.read(r);
    for (let i = 0; i < rows; i++) keepLargest(shares, null, k, i * k, KEPT, own, (start + i) * KEPT);
    backend.free(r, ...layers, ...(x === scaled ? [] : [x]));
  }
  return resultOf(context, own, unit.shard, k);
}

/** The targets [rows.length,K] of these rows of a shard by the mean field. */
export async function fieldTargets(
  context: Context,
  field: FieldParameters,
  shard: number,
  rows: Int32Array | Uint32Array,
): Promise<Tensor> {
  const { from } = await sampleIn(context, shard);
  const memberships = membershipsOf(context.states);
  const k = memberships.volume.length;
  const at = meanField(graphOf(context.states), memberships, field);
  const target = new Float32Array(rows.length * k);
  for (let i = 0; i < rows.length; i++) {
    const { count, cluster, share } = at(from + rows[i]);
    for (let c = 0; c < count; c++) target[i * k + cluster[c]] = share[c];
  }
  return context.backend.upload(target, [rows.length, k]);
}

function resultOf({ states }: Context, own: Memberships, shard: number, k: number): Tensors {
  const { from, to } = rangeOf(states, shard);
  const { volume } = withVolumes(own, graphOf(states).degree.subarray(from, to), k);
  return {
    cluster: nd(own.cluster, to - from, KEPT),
    share: nd(own.share, to - from, KEPT),
    volume: nd(volume),
  };
}
