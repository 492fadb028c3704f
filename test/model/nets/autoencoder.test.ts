import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  autoencoderWidths,
  codeLayer,
  cosineRate,
  encoderLayers,
  initialAutoencoder,
  operationsPerRow,
} from '../../../model/nets/autoencoder.ts';
import { netShapes, netSize, unflatten } from '../../../model/nets/net.ts';

const WIDTHS = autoencoderWidths(300, [200, 100], 10);

describe('an auto-encoder', () => {
  test('mirrors its encoder', () => {
    assert.deepEqual(WIDTHS, [300, 200, 100, 10, 100, 200, 300]);
    assert.equal(WIDTHS[codeLayer(WIDTHS) + 1], 10);
    assert.equal(codeLayer(autoencoderWidths(7, [], 2)), 0);
  });

  test('begins with weights of the variance that keeps that of its inputs, and biases 0', () => {
    const { params } = initialAutoencoder(3n, WIDTHS);
    const shapes = netShapes([...WIDTHS], 0);
    assert.equal(params.length, netSize(shapes));
    for (const [i, values] of unflatten(params, shapes).entries()) {
      if (i % 2) {
        assert.ok(values.every((value) => value === 0));
        continue;
      }
      const variance = values.reduce((sum, v) => sum + v * v, 0) / values.length;
      // Before a ReLU twice as much, as it lets half through.
      const expected = ([2, 5].includes(i / 2) ? 1 : 2) / shapes[i][0];
      assert.ok(Math.abs(variance / expected - 1) < 0.1, `layer ${i / 2}: ${variance}, not ${expected}`);
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

  test('learns at a rate that falls along half a cosine', () => {
    assert.equal(cosineRate(0.1, 0, 50), 0.1);
    assert.ok(Math.abs(cosineRate(0.1, 25, 50) - 0.05) < 1e-12);
    assert.ok(Math.abs(cosineRate(0.1, 50, 50)) < 1e-12);
    assert.ok(cosineRate(0.1, 10, 50) > cosineRate(0.1, 11, 50));
  });

  test('costs six operations a weight and row', () => {
    assert.equal(operationsPerRow([4, 3, 4]), 6 * 24);
  });
});
