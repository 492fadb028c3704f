import { concat } from '../model/arrays.ts';
import type { MapNet } from '../model/graph/map-net.ts';
import { type Net, netWidths } from '../model/nets/net.ts';
import { nd, type Tensors, take } from './tensors.ts';

/**
 * The state `transform`, as it is sent to workers and kept in checkpoints: how rows become the inputs of the nets (data/transform.ts has what is done by it).
 */

/** The transform of these tensors. Throws if one is missing or has another type; lengths are not compared. */
export function transformFrom(tensors: Tensors) {
  const f32 = (name: string): Float32Array => take(tensors, name, 'float32');
  const f64 = (name: string): Float64Array => take(tensors, name, 'float64');
  const i32 = (name: string): Int32Array => take(tensors, name, 'int32');
  const bias = f32('bias');
  const [normalize, input] = take(tensors, 'shape', 'int32', 2);
  return {
    before: 'shift' in tensors ? { factor: f32('factor'), shift: f32('shift') } : null,
    normalize: normalize === 1,
    input,
    dim: bias.length,
    columns: 'columns' in tensors ? i32('columns') : null,
    weights: f32('weights'),
    bias,
    scale: f64('scale'),
    offset: f64('offset'),
    fences: !('fenced' in tensors)
      ? null
      : {
          columns: i32('fenced'),
          ...{ low: f32('low'), high: f32('high'), least: f32('least'), most: f32('most') },
        },
    ...('grid' in tensors && { grid: f32('grid') }),
    ...('atoms' in tensors && { atoms: { columns: i32('atomColumns'), values: f32('atoms') } }),
    ...('donors' in tensors && {
      fill: { columns: i32('fillColumns'), values: f32('fillValues'), donors: f32('donors') },
    }),
  };
}

/** The reverse. */
export function transformTensors(transform: ReturnType<typeof transformFrom>): Tensors {
  const { before, normalize, input, dim, columns, weights, bias, scale, offset, fences, grid, atoms, fill } =
    transform;
  return {
    shape: nd(Int32Array.of(normalize ? 1 : 0, input)),
    weights: columns ? nd(weights) : nd(weights, input, dim),
    bias: nd(bias),
    scale: nd(scale),
    offset: nd(offset),
    ...(before && { factor: nd(before.factor), shift: nd(before.shift) }),
    ...(columns && { columns: nd(columns) }),
    ...(grid && { grid: nd(grid) }),
    ...(atoms && { atomColumns: nd(atoms.columns), atoms: nd(atoms.values) }),
    ...(fill && {
      fillColumns: nd(fill.columns),
      fillValues: nd(fill.values),
      donors: nd(fill.donors, fill.donors.length / input, input),
    }),
    ...(fences && {
      fenced: nd(fences.columns),
      low: nd(fences.low),
      high: nd(fences.high),
      least: nd(fences.least),
      most: nd(fences.most),
    }),
  };
}

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

/** The net of the map as a state. */
export function mapTensors({ dim, axes, shift, units, places }: MapNet): Tensors {
  const p = shift.length;
  return {
    axes: nd(axes, dim, p),
    shift: nd(shift),
    units: nd(units, units.length / p, p),
    places: nd(places, places.length / 2, 2),
  };
}

export function mapFrom(tensors: Tensors): MapNet {
  const float = (name: string) => take(tensors, name, 'float32');
  return {
    dim: tensors.axes.shape[0],
    ...{ axes: float('axes'), shift: float('shift'), units: float('units'), places: float('places') },
  };
}
