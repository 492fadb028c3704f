import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClusterTableInput, clusterTable, nonEmpty } from '../../../page/drawing/cluster-table.ts';
import {
  cardsLegend,
  clusterCards,
  legend,
  neighboursText,
  separationText,
} from '../../../page/drawing/clusters.ts';
import type { ClusterDetails } from '../../../run/described.ts';

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

test('a cluster of several components: spread over all of them, and the nearest of each counts', () => {
  // The first two are far apart, and both are of cluster 0.
  const means = [
    [-10, 0],
    [10, 0],
    [0, 4],
    [13, 0],
  ];
  const table = clusterTable({
    members: [[0, 1], [2], [3]],
    weights: [0.3, 0.3, 0.2, 0.2],
    ...{ means, covariances: means.map(() => [1, 1]) },
    ...{ rows: [6, 2, 2], counted: true, logRatios: [null, null, -3] },
  });
  const [first, second, third] = table.clusters;
  assert.deepEqual(
    table.clusters.map(({ components }) => components),
    [[0, 1], [2], [3]],
  );
  assert.deepEqual([first.rows, first.weight, first.logRatio, third.logRatio], [6, 0.6, null, -3]);
  assert.ok(Math.abs(first.spread - Math.sqrt((2 + 100) / 2)) < 1e-12);
  assert.deepEqual(first.nearest[0], { cluster: 2, separation: 1.5 });
  assert.deepEqual(third.nearest[0], { cluster: 0, separation: 1.5 });
  assert.equal(second.nearest[0].cluster, 0);
  assert.deepEqual(
    first.nearest.map(({ cluster }) => cluster),
    [2, 1],
  );
  assert.match(legend(table), /several components/);
  assert.doesNotMatch(legend(clusterTable(three)), /components/);
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

const details = (cluster: number, more: Partial<ClusterDetails> = {}): ClusterDetails => ({
  ...{ cluster, size: 100, share: 0.01, name: `name ${cluster}`, namedBy: 'columns' },
  exemplars: Array.from({ length: 10 }, (_, i) => ({ row: 1000 * cluster + i })),
  ...{ border: [{ row: 77, other: 1 }], apart: [], evidence: null },
  ...more,
});
const view = (nearest: { cluster: number; separation: number }[]) => ({
  clusters: [{ nearest }] as unknown as NonNullable<Parameters<typeof clusterCards>[1]>['clusters'],
});

test('a card says by which columns a cluster has its name, and names its neighbours', () => {
  const telling: ClusterDetails['telling'] = [
    { text: 'high income', measure: 'median', own: 57_700, others: 34_100 },
    { text: 'region = <b>', measure: 'share', own: 0.846, others: 0.172 },
  ];
  const apart = [{ column: 3, name: 'age', difference: 2, mean: 1, rest: 0 }];
  const near = [
    { cluster: 1, separation: 0.45 },
    { cluster: 2, separation: 2.04 },
  ];
  const html = clusterCards([details(0, { telling, apart }), details(1), details(2)], view(near));
  assert.match(html, /high income: median 57,700, elsewhere 34,100/);
  assert.match(html, /region = &lt;b&gt;: 84.6\u00a0% of its rows, 17.2\u00a0% elsewhere/);
  assert.match(html, /1 name 1 \(0.5: they hardly differ\); 2 name 2 \(2.0\)/);
  assert.doesNotMatch(html, /age/);
  assert.match(clusterCards([details(0, { telling: [], apart })], null), /age 1, elsewhere 0 \(\+2.00 sd\)/);
});

test('of texts and images, neither numbers of rows nor columns without a name are shown', () => {
  const apart = [{ column: 3, difference: 2, mean: 1, rest: 0 }];
  assert.match(clusterCards([details(0, { apart })], null), /column 3.*row 4<.*row 77 \(to 1\)/);
  const ofTexts = clusterCards([details(0, { apart, texts: ['one <i>'] })], null);
  assert.match(ofTexts, /“one &lt;i&gt;”/);
  assert.doesNotMatch(ofTexts, /row \d|column 3/);
  const ofImages = clusterCards([details(0, { apart })], null, (row) => (row === 3 ? '<svg/>' : null));
  assert.match(ofImages, /<svg\/><span>row 3</);
  assert.doesNotMatch(ofImages, /row 4|column 3/);
});

test('the cards of many clusters are folded beyond the largest', () => {
  const html = clusterCards(
    Array.from({ length: 47 }, (_, c) => details(c)),
    null,
  );
  const [open, folded] = html.split('<details><summary>17 smaller clusters</summary>');
  assert.deepEqual(
    [open, folded].map((part) => part.match(/<article/g)?.length),
    [30, 17],
  );
});

test('the legend explains what cards show, and nothing else', () => {
  const legendOf = (more: Partial<ClusterDetails>) =>
    cardsLegend({ clusters: [details(0, more)], measure: null });
  const apart = [{ column: 3, name: 'age', difference: 2, mean: 1, rest: 0 }];
  const texts = ['a text'];
  assert.match(legendOf({ apart, texts }), /^Columns that set apart: the mean(?!.*Typical rows)/);
  assert.match(legendOf({ apart: [{ ...apart[0], name: undefined }], texts }), /^All of it/);
  const telling = [{ text: 'high age', measure: 'median' as const, own: 1, others: 0 }];
  assert.match(legendOf({ apart, telling }), /^Typical rows/);
  assert.match(legendOf({ texts, exemplars: [{ row: 1, id: 'a.png' }] }), /^Typical rows/);
});
