import { concat } from '../model/arrays.ts';
import type { RowDensities } from '../model/description/densities.ts';
import type { Centres } from '../model/description/distances.ts';
import type { MapNet } from '../model/graph/map-net.ts';
import { type Net, netWidths } from '../model/nets/net.ts';
import { arrayName, arraysOf, type RowSteps, rowStepsAmong, rowStepsOf } from '../model/steps.ts';
import { nd, type Tensors, take } from './tensors.ts';

/**
 * The state `transform`, as it is sent to workers and kept in checkpoints: how rows become the inputs of the nets (data/transform.ts has what is done by it).
 */

/** The transform of these tensors. Throws if one is missing or has another type; lengths are not compared. */
export function transformFrom(tensors: Tensors) {
  const f32 = (name: string): Float32Array => take(tensors, name, 'float32');
  const f64 = (name: string): Float64Array => take(tensors, name, 'float64');
  const columns: Int32Array | null = 'columns' in tensors ? take(tensors, 'columns', 'int32') : null;
  const bias = f32('bias');
  const [normalize, input] = take(tensors, 'shape', 'int32', 2);
  return {
    ...{ before: null, fences: null },
    normalize: normalize === 1,
    input,
    dim: bias.length,
    columns,
    weights: f32('weights'),
    bias,
    scale: f64('scale'),
    offset: f64('offset'),
    ...stepsFrom(tensors),
  };
}

/** The reverse. */
export function transformTensors(transform: ReturnType<typeof transformFrom>): Tensors {
  const { normalize, input, dim, columns, weights, bias, scale, offset } = transform;
  return {
    shape: nd(Int32Array.of(normalize ? 1 : 0, input)),
    weights: columns ? nd(weights) : nd(weights, input, dim),
    bias: nd(bias),
    scale: nd(scale),
    offset: nd(offset),
    ...(columns && { columns: nd(columns) }),
    ...stepTensors(transform, input),
  };
}

function stepsFrom(tensors: Tensors): RowSteps {
  const steps = rowStepsAmong(tensors).map((step) => {
    const arrays = arraysOf(step).map(([name, { type }]) => [
      name,
      take(tensors, arrayName(step, name), type),
    ]);
    return [step, Object.fromEntries(arrays)];
  });
  return Object.fromEntries(steps);
}

function stepTensors(steps: RowSteps, input: number): Tensors {
  const tensors: Tensors = {};
  for (const [step, values] of rowStepsOf(steps))
    for (const [name, { shape }] of arraysOf(step)) {
      const { length } = values[name];
      tensors[arrayName(step, name)] =
        shape.length > 1 ? nd(values[name], length / input, input) : nd(values[name]);
    }
  return tensors;
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

/** What log densities are computed by, as a state. */
export const rowDensityTensors = (by: RowDensities): Tensors =>
  'offset' in by
    ? { offset: nd(Float64Array.of(by.offset)) }
    : {
        constants: nd(by.constants),
        rows: nd(by.centres.values, by.constants.length, by.centres.values.length / by.constants.length),
      };

/** `centres`: of the same shape. */
export const densitiesFrom = (tensors: Tensors, centres: Centres): RowDensities =>
  'offset' in tensors
    ? { offset: take(tensors, 'offset', 'float64', 1)[0] }
    : {
        constants: take(tensors, 'constants', 'float64'),
        centres: { ...centres, values: take(tensors, 'rows', 'float32') },
      };

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
