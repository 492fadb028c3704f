import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clusteringNet, type Net, subNets } from '../../../model/nets/net.ts';
import { close } from '../support.ts';

const deviation = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
const mean = (values: Float32Array) => values.reduce((sum, v) => sum + v, 0) / values.length;

function assertUntrained({ shapes, params, first, second, steps }: Net): void {
  assert.equal(steps, 0);
  shapes.forEach((shape, i) => {
    const size = shape.reduce((a, b) => a * b);
    for (const arrays of [params, first, second]) assert.equal(arrays[i].length, size);
    for (const moment of [first[i], second[i]]) assert.ok(moment.every((v) => v === 0));
    assert.notEqual(first[i], second[i]);
  });
}

describe('clustering net', () => {
  test('shapes', () => {
    assert.deepEqual(clusteringNet(1n, 7, [50], 3).shapes, [[7, 50], [50], [50, 3], [3]]);
    assert.deepEqual(clusteringNet(1n, 2, [8, 5], 1).shapes, [[2, 8], [8], [8, 5], [5], [5, 1], [1]]);
    for (const net of [clusteringNet(1n, 7, [50], 3), clusteringNet(1n, 2, [8, 5], 1)]) assertUntrained(net);
  });

  test('hidden weights are normal/√fan-in, the last a tenth of a normal, biases zero', () => {
    const { params } = clusteringNet(3n, 100, [400, 200], 60);
    // Standard errors of a deviation over n numbers are 1/√2n of it: 0.4 % for the fewest.
    close(deviation(params[0]) * Math.sqrt(100), 1, 0.015);
    close(deviation(params[2]) * Math.sqrt(400), 1, 0.015);
    close(deviation(params[4]) * 10, 1, 0.03);
    for (const i of [0, 2, 4]) {
      assert.ok(Math.abs(mean(params[i]) / deviation(params[i])) < 5 / Math.sqrt(params[i].length));
      assert.ok(Math.max(...params[i].map(Math.abs)) > 3 * deviation(params[i]), 'not normal');
    }
    for (const i of [1, 3, 5]) assert.ok(params[i].every((v) => v === 0));
  });
});

describe('sub-clustering nets', () => {
  test('weights are uniform(−1, 1)/√fan-in, biases zero', () => {
    const d = 30;
    const { params } = subNets(1n, d, 40);
    for (const [i, fanIn] of [
      [0, d],
      [2, 50],
    ]) {
      const scaled = params[i].map((v) => v * Math.sqrt(fanIn));
      const size = Math.max(...scaled.map(Math.abs));
      assert.ok(size <= 1 + 1e-6 && size > 0.99, `up to ${size}`);
      // A uniform number's deviation is 1/√3.
      close(deviation(scaled) * Math.sqrt(3), 1, 0.03);
      assert.ok(Math.abs(mean(scaled)) < 0.05);
    }
    for (const i of [1, 3]) assert.ok(params[i].every((v) => v === 0));
  });

  test('all nets differ; each depends on seed, epoch and index alone', () => {
    const three = subNets(2n, 4, 3, 6).params;
    const five = subNets(2n, 4, 5, 6).params;
    for (const i of [0, 2]) {
      const size = three[i].length / 3;
      const own = (values: Float32Array, c: number) => values.subarray(c * size, (c + 1) * size);
      for (const c of [0, 1, 2]) assert.deepEqual(own(three[i], c), own(five[i], c));
      assert.notDeepEqual(own(three[i], 0), own(three[i], 1));
      assert.notDeepEqual(subNets(2n, 4, 3, 7).params[i], three[i]);
      assert.notDeepEqual(subNets(3n, 4, 3, 6).params[i], three[i]);
    }
  });
});
