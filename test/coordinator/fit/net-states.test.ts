import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ResultArrays } from '../../../coordinator/rounds/sums.ts';
import { concat } from '../../../model/arrays.ts';
import { averageGradients, averageNets, clusteringNet, type Net, subNets } from '../../../model/nets/net.ts';
import { netStates } from '../../../proto/model-tensors.ts';
import { assertClose } from './support.ts';

const D = 2;
const net = clusteringNet(1n, D, [3], 4);
const subs = subNets(1n, D, 4);

/** Sums over shards: each shard gives a constant plus a hundredth of the index, times its counts. */
function sumsOf(of: Net, shards: { value: number; counts: number[]; loss: number }[]): ResultArrays {
  const arrays = of.params.map((values) => {
    const out = new Float64Array(values.length);
    for (const { value, counts } of shards) {
      const size = values.length / counts.length;
      out.forEach((_, j) => {
        out[j] += counts[Math.floor(j / size)] * (value + 0.01 * j);
      });
    }
    return out;
  });
  const flat = Float64Array.from(arrays.flatMap((values) => [...values]));
  return {
    params: flat,
    first: flat.map((value) => 2 * value),
    second: flat.map((value) => 3 * value),
    gradients: flat,
    count: shards.reduce(
      (sum, { counts }) => sum.map((n, c) => n + counts[c]),
      new Float64Array(shards[0].counts.length),
    ),
    loss: Float64Array.of(shards.reduce((sum, { loss }) => sum + loss, 0)),
    shards: Float64Array.of(shards.length),
  };
}

describe('netStates', () => {
  test('are flat: weights with the layer widths, and moments', () => {
    const { weights, moments } = netStates(net);
    assert.deepEqual(weights.widths.data, Int32Array.of(D, 3, 4));
    assert.deepEqual(weights.nets.data, Int32Array.of(0));
    assert.deepEqual(weights.params.data, concat(net.params, Float32Array));
    assert.deepEqual(moments.first.data, concat(net.first, Float32Array));
    assert.deepEqual(moments.second.data, concat(net.second, Float32Array));
  });

  test('record how many nets are stacked, even if it is one', () => {
    for (const k of [1, 4]) {
      const { weights } = netStates(subNets(1n, D, k));
      assert.deepEqual(weights.widths.data, Int32Array.of(D, 50, 2));
      assert.deepEqual(weights.nets.data, Int32Array.of(k));
    }
  });
});

describe('averaging', () => {
  test('weights and moments over shards, weighted by count', () => {
    const sums = sumsOf(net, [
      { value: 1, counts: [1], loss: 0.5 },
      { value: 2, counts: [3], loss: 1.5 },
    ]);
    const { net: mean, loss } = averageNets(net, sums, 10);
    assert.equal(loss, 1);
    assert.equal(mean.steps, net.steps + 10);
    assert.deepEqual(mean.shapes, net.shapes);
    for (const [arrays, times] of [
      [mean.params, 1],
      [mean.first, 2],
      [mean.second, 3],
    ] as const)
      for (const values of arrays)
        assertClose(
          values,
          Float32Array.from(values, (_, j) => times * (1.75 + 0.01 * j)),
          1e-6,
        );
  });

  test('of sub-nets, each by the counts of its cluster; one without rows is unchanged', () => {
    const sums = sumsOf(subs, [
      { value: 1, counts: [1, 0, 0, 5], loss: 2 },
      { value: 3, counts: [1, 2, 0, 15], loss: 4 },
    ]);
    const { net: mean, loss } = averageNets(subs, sums, 1);
    assert.equal(loss, 3);
    const b2 = mean.params[3];
    assertClose(b2.slice(0, 4), [2, 2.01, 3.02, 3.03], 1e-6);
    assert.deepEqual(b2.slice(4, 6), subs.params[3].slice(4, 6));
    assertClose(b2.slice(6), [2.56, 2.57], 1e-6);
  });

  test('gradients likewise; zero for a net without rows', () => {
    const sums = sumsOf(subs, [
      { value: 1, counts: [1, 0, 0, 5], loss: 1 },
      { value: 2, counts: [1, 1, 0, 5], loss: 2 },
    ]);
    const { gradients, loss } = averageGradients(subs, sums);
    assert.equal(loss, 1.5);
    assertClose(gradients[3], [1.5, 1.51, 2.02, 2.03, 0, 0, 1.56, 1.57], 1e-6);
  });
});
