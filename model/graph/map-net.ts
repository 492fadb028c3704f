import { product } from '../nets/net.ts';

/** The net that places any row on the map, applied to rows (learned: map-training.ts). It draws nothing, and knows no clusters. */

/**
 * A net that places any row on a map: it has learned where a sample of them was laid out. Of a row's coordinates along the sample's principal
 * axes, a layer of units, one at each of some laid-out rows, gives −½ of the squared distance in widths of a unit, but for what softmax
 * takes away; after it, a row's place is the mean of those of the units. In two dimensions or fewer, coordinates are the places.
 */
export interface MapNet {
  /** D numbers of a row. */
  readonly dim: number;
  /** [D,P] and [P]: coordinates of a row are row·axes + shift, in widths of a unit. */
  readonly axes: Float32Array;
  readonly shift: Float32Array;
  /** [M,P]: coordinates of the units; none of a net whose places are the coordinates. */
  readonly units: Float32Array;
  /** [M,2] */
  readonly places: Float32Array;
}

/** The largest coordinate, in widths: half of its square has the last digit of float32 at 1/32. */
const REACH = 1_000;

/** A coordinate, in widths, no farther out than where differences of distances would be lost to rounding. */
export const within = (coordinate: number) => Math.max(-REACH, Math.min(REACH, coordinate));

/** The net for rows y = x/scale, as the other nets get them. */
export const forNets = (net: MapNet, scale: Float64Array): MapNet => ({
  ...net,
  axes: net.axes.map((value, at) => value * scale[Math.floor(at / net.shift.length)]),
});

/** The places of rows [n,D]: [n,2]. Workers compute the same on their backends (worker/compute/mlp.ts). */
export function placesOnMap(net: MapNet, rows: Float32Array): Float32Array {
  const { dim, axes, shift, units, places } = net;
  const [n, p] = [rows.length / dim, shift.length];
  const z = new Float32Array(n * p);
  product(rows, n, dim, axes, p, shift, false, z);
  if (!units.length) return planePlaces(z, p);
  const { weights, bias } = unitLayer(net);
  const m = bias.length;
  const out = new Float32Array(2 * n);
  const logits = new Float32Array(m);
  for (let i = 0; i < n; i++) {
    const own = z.subarray(i * p, (i + 1) * p).map(within);
    product(own, 1, p, weights, m, bias, false, logits);
    const most = logits.reduce((a, b) => Math.max(a, b));
    let [sum, x, y] = [0, 0, 0];
    for (let j = 0; j < m; j++) {
      const share = Math.exp(logits[j] - most);
      sum += share;
      x += share * places[2 * j];
      y += share * places[2 * j + 1];
    }
    out.set([x / sum, y / sum], 2 * i);
  }
  return out;
}

/** Of one coordinate and 0, or of two. */
export function planePlaces(z: Float32Array, p: number): Float32Array {
  const out = new Float32Array((2 * z.length) / p);
  for (let i = 0; i < out.length / 2; i++)
    for (let a = 0; a < Math.min(2, p); a++) out[2 * i + a] = z[i * p + a];
  return out;
}

/** The layer of units: −½ of the squared distances of coordinates z are z·weights + bias, but for −½‖z‖². */
export function unitLayer({ units, shift }: Pick<MapNet, 'units' | 'shift'>) {
  const p = shift.length;
  const m = units.length / p;
  const weights = new Float32Array(p * m);
  const bias = new Float32Array(m);
  for (let i = 0; i < m; i++) {
    let squares = 0;
    for (let a = 0; a < p; a++) {
      const value = units[i * p + a];
      weights[a * m + i] = value;
      squares += value * value;
    }
    bias[i] = -squares / 2;
  }
  return { weights, bias };
}
