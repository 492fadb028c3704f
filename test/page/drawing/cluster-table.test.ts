import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ClusterTableInput,
  clusterTable,
  neighboursText,
  nonEmpty,
  separationText,
} from '../../../page/drawing/cluster-table.ts';

const three: ClusterTableInput = {
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
  rows: [7, 8, 9],
  counted: false,
  logRatios: [1.5, null, -2],
};

test('spread, rows, and the nearest cluster in standard deviations', () => {
  const { clusters } = clusterTable(three);
  assert.deepEqual(
    clusters.map(({ nearest }) => nearest[0]?.cluster),
    [1, 0, 0],
  );
  assert.equal(
    clusters[0].nearest[0]?.separation,
    9 / (2 + 3),
    'in standard deviations, 9 is less far than 4',
  );
  assert.equal(clusters[2].nearest[0]?.separation, 4 / (1 + 1));
  assert.equal(neighboursText(clusters[0].nearest), '1 (1.8), 2 (2.0)');
  const near = [{ cluster: 4, separation: 0.7 }, ...clusters[0].nearest];
  const nameOf = (cluster: number) => (cluster === 4 ? 'low income' : '');
  assert.equal(neighboursText(near, nameOf), '4 low income (0.7: they hardly differ); 1 (1.8); 2 (2.0)');
  assert.equal(clusters[1].spread, Math.sqrt(5));
  assert.deepEqual([clusters[1].rows, clusters[1].logRatio, clusters[2].logRatio], [8, null, -2]);
  const full = three.covariances.map((diagonal) => [diagonal[0], 0, 0, diagonal[1]]);
  assert.deepEqual(clusterTable({ ...three, covariances: full }), clusterTable(three));
});

test('clusters without rows have no neighbour and are no neighbours', () => {
  const { clusters } = clusterTable({ ...three, rows: [7, 0, 9] });
  assert.deepEqual(
    clusters.map(({ nearest }) => nearest[0]?.cluster ?? null),
    [2, null, 0],
  );
  assert.deepEqual(nonEmpty([3, 0, 1e-12, 0.2]), [0, 3]);
});

test('the nearest of many is searched among the five with the nearest centres', () => {
  const k = 40;
  const means = Array.from({ length: k }, (_, c) => [Math.cos(c * c), Math.sin(3 * c), (c % 7) / 3]);
  const covariances = means.map((_, c) => [1 + (c % 3), 1 + (c % 5), 1]);
  const some = { weights: Array(k).fill(1 / k), rows: Array(k).fill(1), counted: true, logRatios: [] };
  const { clusters } = clusterTable({ ...some, means, covariances });
  for (const [c, { nearest }] of clusters.entries()) {
    const others = [...means.keys()]
      .filter((other) => other !== c)
      .map((other) => {
        const line = means[other].map((value, i) => value - means[c][i]);
        const length = Math.hypot(...line);
        const along = (matrix: number[]) =>
          Math.hypot(...line.map((v, i) => (v / length) * Math.sqrt(matrix[i])));
        return { other, length, separation: length / (along(covariances[c]) + along(covariances[other])) };
      })
      .sort((a, b) => a.length - b.length)
      .slice(0, 5);
    const best = others.reduce((a, b) => (b.separation < a.separation ? b : a));
    assert.ok(Math.abs(nearest[0].separation - best.separation) < 1e-9);
  }
});

test('coinciding centres, clusters without extent, a single cluster, too many clusters', () => {
  const point = { weights: [0.5, 0.5], rows: [1, 1], counted: true, logRatios: [null, null] };
  const covariances = [[0], [0]];
  assert.equal(
    clusterTable({ ...point, means: [[1], [2]], covariances }).clusters[0].nearest[0]?.separation,
    Number.MAX_VALUE,
  );
  assert.equal(separationText({ cluster: 1, separation: Number.MAX_VALUE }), '> 99');
  assert.equal(separationText({ cluster: 1, separation: 2.345 }), '2.3');
  const alone = clusterTable({ ...point, weights: [1], rows: [1], means: [[1]], covariances: [[1]] });
  assert.deepEqual(alone.clusters[0].nearest, []);
  const many = Array.from({ length: 40_000 }, (_, c) => [c]);
  const crowd = { weights: many.map(() => 1), rows: many.map(() => 1), counted: true, logRatios: [] };
  assert.deepEqual(clusterTable({ ...crowd, means: many, covariances: many }).clusters[7].nearest, []);
});
