import { mapColumns } from '../../../data/transform.ts';
import { codeLayer } from '../../../model/nets/autoencoder.ts';
import { layersOf, logits, netShapes, unflatten } from '../../../model/nets/net.ts';
import type { Encoder } from '../../../run/encoding.ts';

/** ‖output − input‖² of each raw row. */
export function reconstructionErrors({ widths, params, input }: Encoder, raw: Float32Array): Float64Array {
  const [dim] = widths;
  const rows = raw.slice();
  mapColumns(input, rows);
  const shapes = netShapes([...widths], 0);
  const layers = layersOf({ params: unflatten(params, shapes), shapes });
  const code = codeLayer(widths) + 1;
  const rebuilt = logits(layers.slice(code), logits(layers.slice(0, code), rows));
  const errors = new Float64Array(rows.length / dim);
  for (const [p, value] of rebuilt.entries()) errors[Math.floor(p / dim)] += (value - rows[p]) ** 2;
  return errors;
}
