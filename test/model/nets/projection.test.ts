import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Autoencoder,
  areEncoderWidths,
  codeLayer,
  encoderLayers,
  initialAutoencoder,
} from '../../../model/nets/autoencoder.ts';
import { layersOf, logits } from '../../../model/nets/forward.ts';
import { folded } from '../../../model/nets/projection.ts';
import { generator } from '../../../model/random.ts';
import { close } from '../support.ts';

const [D, Q] = [7, 3];
const rng = generator(4n, 'projection');
const draw = (length: number) => Float32Array.from({ length }, rng.normal);
/** The codes of rows. */
function codes(net: Autoencoder, rows: Float32Array): Float32Array {
  const all = encoderLayers(net);
  const layers = layersOf({ params: all.map(({ values }) => values), shapes: all.map(({ shape }) => shape) });
  return logits(layers, rows);
}

describe('an encoder without decoder', () => {
  test('has all of its layers up to the code', () => {
    const widths = [7, 5, 4, 2];
    assert.equal(codeLayer(widths), 2);
    assert.ok(areEncoderWidths(widths, 7) && areEncoderWidths([7, 5, 2, 5, 7], 7));
    assert.ok(!areEncoderWidths(widths, 6) && !areEncoderWidths([7, 5, 8], 7));
  });

  test('of projected rows becomes one of the rows', () => {
    const net = initialAutoencoder(1n, [Q, 6, 2]);
    const projection = { weights: draw(D * Q), bias: draw(Q) };
    const whole = folded(net, projection);
    assert.deepEqual(whole.widths, [D, 6, 2]);
    const rows = draw(5 * D);
    const along = new Float32Array(5 * Q);
    for (let i = 0; i < 5; i++)
      for (let a = 0; a < Q; a++) {
        let sum = projection.bias[a];
        for (let d = 0; d < D; d++) sum += rows[i * D + d] * projection.weights[d * Q + a];
        along[i * Q + a] = sum;
      }
    close(codes(whole, rows), codes(net, along), 1e-5);
  });
});
