import assert from 'node:assert/strict';
import test from 'node:test';
import { argmaxRows, clusteringNet, type Layer, layersOf, logits, subNets } from '../../../model/nets/net.ts';
import { generator } from '../../../model/random.ts';

function randomNet(widths: number[], draw: () => number): Layer[] {
  return widths.slice(1).map((cols, l) => ({
    rows: widths[l],
    cols,
    weights: Float32Array.from({ length: widths[l] * cols }, draw),
    bias: Float32Array.from({ length: cols }, draw),
  }));
}

test('labels are the argmax of the net for any depth and number of rows', () => {
  const draw = generator(3n, 'forward').normal;
  const layers = randomNet([4, 7, 5, 6], draw);
  const rows = Float32Array.from({ length: 4 * 601 }, draw);
  const labels = argmaxRows(logits(layers, rows), 6);
  for (let n = 0; n < 601; n++) {
    let x = [...rows.slice(4 * n, 4 * n + 4)];
    layers.forEach(({ cols, weights, bias }, l) => {
      x = Array.from({ length: cols }, (_, c) =>
        x.reduce((s, v, r) => s + v * weights[r * cols + c], bias[c]),
      );
      if (l < 2) x = x.map((v) => Math.max(0, v));
    });
    assert.equal(labels[n], x.indexOf(Math.max(...x)));
  }
  assert.equal(new Set(labels).size > 2, true, 'rows have different labels');
});

test('sums are float64, rounded once per layer', () => {
  // In float32, 1e8 + 1 is 1e8 again.
  const layer = { rows: 3, cols: 1, weights: Float32Array.of(1e8, 1, -1e8), bias: Float32Array.of(0) };
  assert.deepEqual(logits([layer], Float32Array.of(1, 1, 1)), Float32Array.of(1));
  const third = { rows: 1, cols: 1, weights: Float32Array.of(1 / 3), bias: Float32Array.of(0) };
  const rounded = Math.fround(Math.fround(1 / 3) * 3);
  assert.deepEqual(logits([third, third], Float32Array.of(3))[0], Math.fround(rounded * Math.fround(1 / 3)));
});

test('layers of a net, and of one of several stacked nets', () => {
  const net = clusteringNet(1n, 3, [5, 4], 2);
  assert.deepEqual(
    layersOf(net).map(({ rows, cols, weights, bias }) => [rows, cols, weights.length, bias.length]),
    [
      [3, 5, 15, 5],
      [5, 4, 20, 4],
      [4, 2, 8, 2],
    ],
  );
  const subs = subNets(1n, 3, 4);
  const [first, last] = layersOf(subs, 2);
  assert.deepEqual(first.weights, subs.params[0].slice(300, 450));
  assert.deepEqual([last.rows, last.cols, last.bias.length], [50, 2, 2]);
});
