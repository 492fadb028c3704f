import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  autoencoderWidths,
  decoderNet,
  encoderLayers,
  initialAutoencoder,
  rateAfter,
} from '../../../model/nets/autoencoder.ts';
import { netShapes, netSize, unflatten } from '../../../model/nets/net.ts';

const WIDTHS = autoencoderWidths(300, [200, 100], 10);

describe('an auto-encoder', () => {
  test('begins with weights and biases uniform in ±1/√fan-in', () => {
    const { params } = initialAutoencoder(3n, WIDTHS);
    const shapes = netShapes([...WIDTHS], 0);
    assert.equal(params.length, netSize(shapes));
    for (const [i, values] of unflatten(params, shapes).entries()) {
      const bound = 1 / Math.sqrt(WIDTHS[Math.floor(i / 2)]);
      assert.ok(values.every((value) => Math.abs(value) <= bound));
      assert.ok(values.length < 50 || Math.max(...values) > 0.9 * bound, `layer ${i / 2}`);
      if (values.length < 1000) continue;
      const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
      assert.ok(Math.abs(variance / (bound * bound) - 1 / 3) < 0.03, `layer ${i / 2}: ${variance}`);
    }
    assert.deepEqual(initialAutoencoder(3n, WIDTHS).params, params);
    assert.notDeepEqual(initialAutoencoder(4n, WIDTHS).params, params);
  });

  test('has as its encoder the layers up to the code', () => {
    const own = initialAutoencoder(1n, WIDTHS);
    const layers = encoderLayers(own);
    assert.deepEqual(
      layers.map(({ shape }) => shape),
      [[300, 200], [200], [200, 100], [100], [100, 10], [10]],
    );
    const size = 300 * 200 + 200 + 200 * 100 + 100 + 1000 + 10;
    assert.deepEqual(
      layers.flatMap(({ values }) => [...values]),
      [...own.params.subarray(0, size)],
    );
  });

  test('has as its decoder the layers from the code on', () => {
    const own = initialAutoencoder(1n, WIDTHS);
    const { params, shapes } = decoderNet(own);
    assert.deepEqual(shapes, [[10, 100], [100], [100, 200], [200], [200, 300], [300]]);
    assert.deepEqual(
      [...encoderLayers(own).map(({ values }) => values), ...params].flatMap((values) => [...values]),
      [...own.params],
    );
  });

  test('learns at a rate that rises, and falls along half a cosine', () => {
    assert.ok(rateAfter(0.1, 0, 50) > 0 && rateAfter(0.1, 0, 50) < 0.001);
    assert.ok(rateAfter(0.1, 0.25, 50) > 0.049 && rateAfter(0.1, 0.25, 50) < 0.051);
    assert.ok(Math.abs(rateAfter(0.1, 25, 50) - 0.05) < 1e-12);
    assert.ok(Math.abs(rateAfter(0.1, 50, 50)) < 1e-12);
    assert.ok(rateAfter(0.1, 10, 50) > rateAfter(0.1, 11, 50));
  });
});
