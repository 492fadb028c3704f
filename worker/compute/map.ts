import { type MapNet, planePlaces, unitLayer } from '../../model/graph/map-net.ts';
import type { Backend, Tensor } from './backends/backend.ts';

/** The net of the map on a backend. */
export function loadMap(backend: Backend, net: MapNet) {
  const { dim, shift, places } = net;
  const [p, m] = [shift.length, places.length / 2];
  const axes = [backend.upload(net.axes, [dim, p]), backend.upload(shift, [p])];
  const { weights, bias, low, high } = unitLayer(net);
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
      // Far from all units, differences of distances would be lost to rounding.
      for (let i = 0; i < z.length; i++) z[i] = Math.max(low[i % p], Math.min(high[i % p], z[i]));
      const inside = backend.upload(z, [n, p]);
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
