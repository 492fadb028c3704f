import { concat } from '../../model/arrays.ts';
import { type Net, netWidths, unflatten } from '../../model/nets/net.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { ResultArrays } from './rounds.ts';

/** Nets on the wire: W₁, b₁, W₂, b₂, … concatenated into one array, as the cost of a message grows with its number of tensors. */

/** States with a net's weights and with its Adam moments. `nets`: how many nets are stacked, 0 for a single net. */
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

/**
 * The net after a round of local steps, and the mean loss. Weights and moments are averaged over shards, weighted by
 * `count` (one for each of the K stacked nets); a net whose counts are all zero is unchanged.
 */
export function averageNets(net: Net, sums: ResultArrays, steps: number): { net: Net; loss: number } {
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

/** The mean gradient over shards, weighted as in `averageNets`; zero for a net whose counts are all zero. */
export function averageGradients(net: Net, sums: ResultArrays): { gradients: Float64Array[]; loss: number } {
  const none = net.params.map((values) => new Float32Array(values.length));
  const gradients = mean(net, sums, 'gradients', none).map((values) => Float64Array.from(values));
  return { gradients, loss: meanLoss(sums) };
}

/** Σ_s count_sc·values_sc / Σ_s count_sc of each net c, rounded once to float32. */
function mean(net: Net, sums: ResultArrays, name: string, fallback: Float32Array[]): Float32Array[] {
  const { count } = sums;
  return unflatten(sums[name], net.shapes).map((values, i) => {
    const size = values.length / count.length;
    return fallback[i].map((old, j) => {
      const n = count[Math.floor(j / size)];
      return n > 0 ? values[j] / n : old;
    });
  });
}

/** Over the shards that have rows: others report no loss. */
const meanLoss = ({ loss, shards }: ResultArrays) => loss[0] / shards[0];
