import { keepLargest, type Memberships, meanField } from '../../../model/graph/mean-field.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { type FieldParameters, KEPT_MEMBERSHIPS, type TaskOf } from '../../../proto/tasks.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { Tensor } from '../../compute/backends/backend.ts';
import { FORWARD_ROWS, forward } from '../../compute/mlp.ts';
import type { Context } from '../../context.ts';
import { graphOf, membershipsOf, rangeOf, sampleIn } from './states.ts';

/** Memberships of a shard's rows, and the volume that they give each cluster. */

const KEPT = KEPT_MEMBERSHIPS;

/** By the clustering net. */
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

/** By the mean field of those that the state `memberships` has. */
export async function membershipSweep(
  context: Context,
  task: TaskOf<'membership-sweep'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { states } = context;
  const { from, to } = rangeOf(states, unit.shard);
  const { volume } = membershipsOf(states);
  const at = fieldOf(context, task);
  const own = emptyMemberships(to - from);
  for (let row = from; row < to; row++) {
    const { count, cluster, share } = at(row);
    keepLargest(share, cluster, count, 0, KEPT, own, (row - from) * KEPT);
  }
  return resultOf(context, own, unit.shard, volume.length);
}

/** w_kl = Σ_i Σ_j w_ij r_ik r_jl over the shard's rows i, [K,K]. */
export async function clusterLinks(
  { states }: Context,
  _task: TaskOf<'cluster-links'>,
  unit: WorkUnit,
): Promise<Tensors> {
  const { from, to } = rangeOf(states, unit.shard);
  const { graph } = graphOf(states);
  const { memberships, volume } = membershipsOf(states);
  const k = volume.length;
  const W = new Float64Array(k * k);
  for (let row = from; row < to; row++)
    for (let e = graph.starts[row]; e < graph.starts[row + 1]; e++) {
      const other = graph.index[e] * KEPT;
      for (let a = row * KEPT; a < (row + 1) * KEPT; a++) {
        const r = memberships.share[a] * graph.weight[e];
        if (r === 0) break;
        for (let b = other; b < other + KEPT; b++)
          W[memberships.cluster[a] * k + memberships.cluster[b]] += r * memberships.share[b];
      }
    }
  return { W: nd(W, k, k) };
}

/** The targets [rows.length,K] of these rows of a shard by the mean field. */
export async function fieldTargets(
  context: Context,
  field: FieldParameters,
  shard: number,
  rows: Int32Array | Uint32Array,
): Promise<Tensor> {
  const { from } = await sampleIn(context, shard);
  const k = membershipsOf(context.states).volume.length;
  const at = fieldOf(context, field);
  const target = new Float32Array(rows.length * k);
  for (let i = 0; i < rows.length; i++) {
    const { count, cluster, share } = at(from + rows[i]);
    for (let c = 0; c < count; c++) target[i * k + cluster[c]] = share[c];
  }
  return context.backend.upload(target, [rows.length, k]);
}

function fieldOf({ states }: Context, { coupling, resolution }: FieldParameters) {
  return meanField({ ...graphOf(states), ...membershipsOf(states), kept: KEPT, coupling, resolution });
}

const emptyMemberships = (n: number): Memberships => ({
  cluster: new Int32Array(n * KEPT),
  share: new Float32Array(n * KEPT),
});

function resultOf({ states }: Context, own: Memberships, shard: number, k: number): Tensors {
  const { from, to } = rangeOf(states, shard);
  const { degree } = graphOf(states);
  const volume = new Float64Array(k);
  for (let row = from, m = 0; row < to; row++)
    for (let p = 0; p < KEPT; p++, m++) volume[own.cluster[m]] += degree[row] * own.share[m];
  return {
    cluster: nd(own.cluster, to - from, KEPT),
    share: nd(own.share, to - from, KEPT),
    volume: nd(volume),
  };
}
