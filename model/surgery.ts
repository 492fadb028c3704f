import { freshSubNet, type Net } from './net.ts';

/** Where a cluster of the resized net comes from: unit `from` of the old one; `fresh` if a split or merge made it. */
export interface Unit {
  from: number;
  fresh: boolean;
}

/**
 * The clustering net with one output unit for each of `units`, weight column and bias copied. A fresh unit's first
 * moment starts at zero and its second is copied: zeroing both while Adam's step count runs on overshoots the rate
 * six times. The hidden layers and all other units keep theirs.
 */
export function resizeClusteringNet(net: Net, units: Unit[]): Net {
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
  return {
    shapes: net.shapes.map((shape, i) => (i < last ? shape : [...shape.slice(0, -1), units.length])),
    params: net.params.map((values, i) => columns(values, i, false)),
    first: net.first.map((values, i) => columns(values, i, true)),
    second: net.second.map((values, i) => columns(values, i, false)),
    steps: net.steps,
  };
}

/** The sub-clustering nets, one for each of `units`: fresh ones drawn anew with no moments, the others as they were. */
export function resizeSubNets(nets: Net, units: Unit[], seed: bigint, epoch: number): Net {
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
    if (fresh) freshSubNet(seed, params, units.length, unit, epoch);
  });
  return {
    shapes: nets.shapes.map((shape) => [units.length, ...shape.slice(1)]),
    params,
    first: nets.first.map((values) => stack(values, true)),
    second: nets.second.map((values) => stack(values, true)),
    steps: nets.steps,
  };
}
