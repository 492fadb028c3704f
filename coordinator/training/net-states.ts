import { concat } from '../../model/arrays.ts';
import { type Net, netSize, netWidths, unflatten } from '../../model/net.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { Lengths, Sums } from './rounds.ts';

/** Nets on the wire: flat arrays, W₁, b₁, W₂, b₂, … one after the other. One tensor costs a message as much as another. */

/** The state of a net's weights, and that of Adam's moments. `nets` says how many are stacked, 0 if it is one by itself. */
export function netStates(net: Net): { weights: Tensors; moments: Tensors } {
  const stacked = net.shapes[0].length === 3;
  const flat = (arrays: Float32Array[]) => nd(concat(arrays, Float32Array));
  return {
    weights: {
      widths: nd(Int32Array.from(netWidths(net.shapes))),
      nets: nd(Int32Array.of(stacked ? net.shapes[0][0] : 0)),
      params: flat(net.params),
    },
    moments: { first: flat(net.first), second: flat(net.second) },
  };
}

/** What local steps give of this net. */
export function stepLengths({ shapes }: Net, average: 'weights' | 'gradients'): Lengths {
  const size = netSize(shapes);
  const names = average === 'gradients' ? ['gradients'] : ['params', 'first', 'second'];
  const nets = Object.fromEntries(names.map((name) => [name, size]));
  return { ...nets, loss: 1, shards: 1, count: shapes[0].length === 3 ? shapes[0][0] : 1 };
}

/**
 * The net after a round of local steps: weights and moments averaged over shards, each shard weighing its `count` (of
 * each of the K stacked nets); a net that no shard gives weight stays. Also the mean loss.
 */
export function averageNets(net: Net, sums: Sums, steps: number): { net: Net; loss: number } {
  return {
    loss: meanLoss(sums),
    net: {
      shapes: net.shapes,
      params: mean(net, sums, 'params', net.params),
      first: mean(net, sums, 'first', net.first),
      second: mean(net, sums, 'second', net.second),
      steps: net.steps + steps,
    },
  };
}

/** The mean gradient over shards, weighted like `averageNets`; zero for a net that no shard gives weight. */
export function averageGradients(net: Net, sums: Sums): { gradients: Float64Array[]; loss: number } {
  const none = net.params.map((values) => new Float32Array(values.length));
  const gradients = mean(net, sums, 'gradients', none).map((values) => Float64Array.from(values));
  return { gradients, loss: meanLoss(sums) };
}

/** Σ_s count_sc·values_sc / Σ_s count_sc of each net c, rounded once to float32. */
function mean(net: Net, sums: Sums, name: string, otherwise: Float32Array[]): Float32Array[] {
  const { count } = sums;
  return unflatten(sums[name], net.shapes).map((values, i) => {
    const size = values.length / count.length;
    return otherwise[i].map((old, j) => {
      const n = count[Math.floor(j / size)];
      return n > 0 ? values[j] / n : old;
    });
  });
}

/** Shards without rows have none. */
const meanLoss = ({ loss, shards }: Sums) => loss[0] / shards[0];
