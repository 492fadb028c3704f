import type { MapNet } from '../model/graph/map-net.ts';
import { nd, type Tensors, take } from './tensors.ts';

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
