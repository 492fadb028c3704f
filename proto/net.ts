import { concat } from '../model/arrays.ts';
import { type Net, netWidths } from '../model/nets/net.ts';
import { nd, type Tensors } from './tensors.ts';

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
