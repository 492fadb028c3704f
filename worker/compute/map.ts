import { type MapNet, planePlaces, unitLayer, within } from '../../model/graph/map-net.ts';
import type { Backend, Tensor } from './backends/backend.ts';

/** The net of the map on a backend. */
export function loadMap(backend: Backend, net: MapNet) {
  const { dim, shift, places } = net;
  const [p, m] = [shift.length, places.length / 2];
  const axes = [backend.upload(net.axes, [dim, p]), backend.upload(shift, [p])];
  const { weights, bias } = unitLayer(net);
  const layers = m
    ? [
        ...[backend.upload(weights, [p, m]), backend.upload(bias, [m])],
        ...[backend.upload(places, [m, 2]), backend.upload(new Float32Array(2), [2])],
      ]
    : [];
  return {
    /** The places of rows x [n,D]: [n,2], finite. */
    async place(x: Tensor): Promise<Float32Array> {
      const along = backend.affine(x, axes[0], axes[1], false);
      const z = await backend.read(along);
      backend.free(along);
      const n = z.length / p;
      if (!m) return planePlaces(z, p);
      const inside = backend.upload(z.map(within), [n, p]);
      const logits = backend.affine(inside, layers[0], layers[1], false);
      const shares = backend.softmaxRows(logits, 0);
      const placed = backend.affine(shares, layers[2], layers[3], false);
      const found = await backend.read(placed);
      backend.free(inside, logits, shares, placed);
      return found;
    },
    free: () => backend.free(...axes, ...layers),
  };
}
