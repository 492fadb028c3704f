import assert from 'node:assert/strict';
import test from 'node:test';
import { analyst } from '../../web/analyse.ts';
import { argmaxLabels, type Layer } from '../../web/forward.ts';
import { keepSlots } from '../../web/slots.ts';
import { normal, uniform, world } from './world.ts';

test('labels are the argmax of the net, whatever its depth and the number of rows', () => {
  const draw = uniform(3);
  const widths = [4, 7, 5, 6];
  const layers: Layer[] = widths.slice(1).map((cols, l) => ({
    rows: widths[l],
    cols,
    weights: Float32Array.from({ length: widths[l] * cols }, () => normal(draw)),
    bias: Float32Array.from({ length: cols }, () => normal(draw)),
  }));
  const rows = Float32Array.from({ length: 4 * 601 }, () => normal(draw));
  const found = argmaxLabels(layers, rows, 4);
  for (let n = 0; n < 601; n++) {
    let x = [...rows.slice(4 * n, 4 * n + 4)];
    layers.forEach(({ cols, weights, bias }, l) => {
      x = Array.from({ length: cols }, (_, c) =>
        x.reduce((s, v, r) => s + v * weights[r * cols + c], bias[c]),
      );
      if (l < 2) x = x.map((v) => Math.max(0, v));
    });
    assert.equal(found[n], x.indexOf(Math.max(...x)));
  }
  assert.equal(new Set(found).size > 2, true, 'the net tells rows apart');
});

test('a picture: labels are those of the nearest mean, points lie by their centres', () => {
  const { sample, stateAt, scale } = world({ clusters: 6, dim: 5, rows: 500 });
  const state = stateAt(100);
  const picture = analyst()(state, { rows: sample, dim: 5 });
  assert.equal(picture.k, 6);
  assert.equal(picture.clusters.length, 6);
  for (let n = 0; n < 500; n++) {
    const apart = state.means.map((mean) =>
      mean.reduce((s, v, i) => s + (v / scale[i] - sample[5 * n + i]) ** 2, 0),
    );
    assert.equal(picture.labels[n], apart.indexOf(Math.min(...apart)));
  }
  for (let c = 0; c < 6; c++)
    for (let a = 0; a < 3; a++) {
      const own = [...picture.labels.keys()]
        .filter((n) => picture.labels[n] === c)
        .map((n) => picture.xyz[3 * n + a]);
      const mean = own.reduce((x, y) => x + y, 0) / own.length;
      const sd = Math.sqrt(picture.covariances[9 * c + 4 * a]);
      assert.ok(
        Math.abs(mean - picture.centres[3 * c + a]) < sd,
        'the mean of its points is the centre, or near it',
      );
    }
});

test('the table: spread, nearest neighbour in standard deviations, sizes', () => {
  const { net, scale } = world({ clusters: 3, dim: 2, rows: 1 }).stateAt(100);
  const state = {
    epoch: 1,
    k: 3,
    covariance: 'diag' as const,
    weights: [0.5, 0.3, 0.2],
    means: [
      [0, 0],
      [9, 0],
      [0, 4],
    ],
    covariances: [
      [4, 1],
      [9, 1],
      [1, 1],
    ],
    sizes: null,
    splitRatio: [1.5, null, -2],
    net,
    scale,
  };
  const rows = Float32Array.of(0, 0, 0, 0);
  const { clusters, labels } = analyst()(state, { rows, dim: 2 });
  assert.deepEqual(
    clusters.map(({ neighbour }) => neighbour),
    [1, 0, 0],
  );
  assert.equal(clusters[0].separation, 9 / (2 + 3), 'seen along the line between them, 9 is less far than 4');
  assert.equal(clusters[2].separation, 4 / (1 + 1));
  assert.equal(clusters[1].spread, Math.sqrt(5));
  assert.equal(clusters[labels[0]].size, 2, 'without sizes the labels are counted');
  assert.deepEqual(
    clusters.map(({ splitRatio }) => splitRatio),
    [1.5, null, -2],
  );
  assert.equal(analyst()({ ...state, sizes: [7, 8, 9] }, null).clusters[2].size, 9);
});

test('before the sample is there, and with D = 1 and K = 1', () => {
  const small = world({ clusters: 1, dim: 1, rows: 300 });
  const picture = analyst()(small.stateAt(3), { rows: small.sample, dim: 1 });
  assert.equal(picture.k, 1);
  assert.deepEqual([picture.clusters[0].neighbour, picture.clusters[0].separation], [null, null]);
  assert.ok([...picture.xyz, ...picture.covariances].every(Number.isFinite));
  assert.ok(
    new Set([...picture.xyz].filter((_, i) => i % 3 === 1)).size > 100,
    'points are spread out across',
  );
  assert.deepEqual(
    picture.xyz,
    analyst()(small.stateAt(3), { rows: small.sample, dim: 1 }).xyz,
    'always the same way',
  );
  assert.equal(analyst()(small.stateAt(3), null).labels.length, 0);
});

test('colours stay with their clusters when a split or merge renumbers them', () => {
  const first = keepSlots(null, [[0], [10], [20]]);
  assert.deepEqual(first.slots, [0, 1, 2]);
  const split = keepSlots(first, [[9], [11.5], [20], [0.2]]);
  assert.deepEqual(split.slots, [1, 3, 2, 0]);
  const merged = keepSlots(split, [[20], [0.1], [9.8]]);
  assert.deepEqual(merged.slots, [2, 0, 1]);
  assert.deepEqual(keepSlots(merged, [[0, 0]]).slots, [0], 'data of another shape start anew');
});
