import type { Seed } from '../random.ts';
import { initSubNet, type Net } from './net.ts';

/** An output unit of a resized clustering net, and the sub-clustering net of the same index. */
export interface OutputUnit {
  /** The unit of the old net that it copies. */
  from: number;
  /** Was its cluster made by a split or merge? */
  fresh: boolean;
  /** The share of the old cluster's rows that it has: 1 unless the cluster was split. */
  share: number;
}

/**
 * The clustering net with one output unit for each of `units`, with weight column and bias copied (docs/algorithm.md,
 * sections 6 and 7). The bias of a part grows by the logarithm of its share, so that the parts together have the probability
 * that the cluster had. A fresh unit's first Adam moment starts at 0 and its second is copied: with both at 0 and Adam's
 * step count high, the first steps would be six times the learning rate. Hidden layers and other units do not change.
 */
export function resizeClusteringNet(net: Net, units: OutputUnit[]): Net {
  const last = net.shapes.length - 2;
  const k = net.shapes[last][1];
  const columns = (values: Float32Array, index: number, reset: boolean) => {
    if (index < last) return values;
    const rows = values.length / k;
    const out = new Float32Array(rows * units.length);
    units.forEach(({ from, fresh }, unit) => {
      if (fresh && reset) return;
      for (let row = 0; row < rows; row++) out[row * units.length + unit] = values[row * k + from];
    });
    return out;
  };
  const params = net.params.map((values, i) => columns(values, i, false));
  units.forEach(({ share }, unit) => {
    params[last + 1][unit] += Math.log(share);
  });
  return {
    shapes: net.shapes.map((shape, i) => (i < last ? shape : [...shape.slice(0, -1), units.length])),
    params,
    first: net.first.map((values, i) => columns(values, i, true)),
    second: net.second.map((values, i) => columns(values, i, false)),
    steps: net.steps,
  };
}

/** The sub-clustering nets, one for each of `units`: fresh ones reinitialized with zero moments, the others unchanged. */
export function resizeSubNets(nets: Net, units: OutputUnit[], seed: Seed, epoch: number): Net {
  const k = nets.shapes[0][0];
  const stack = (values: Float32Array, reset: boolean) => {
    const size = values.length / k;
    const out = new Float32Array(size * units.length);
    units.forEach(({ from, fresh }, unit) => {
      if (!(fresh && reset)) out.set(values.subarray(from * size, (from + 1) * size), unit * size);
    });
    return out;
  };
  const params = nets.params.map((values) => stack(values, true));
  units.forEach(({ fresh }, unit) => {
    if (fresh) initSubNet(seed, params, units.length, unit, epoch);
  });
  return {
    shapes: nets.shapes.map((shape) => [units.length, ...shape.slice(1)]),
    params,
    first: nets.first.map((values) => stack(values, true)),
    second: nets.second.map((values) => stack(values, true)),
    steps: nets.steps,
  };
}
