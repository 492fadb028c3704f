import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { halfLinks } from '../../../model/graph/halves.ts';
import { quality } from '../../../model/graph/louvain.ts';
import { degrees } from '../../../model/graph/weights.ts';
import { type ClusterHalves, nextSplits } from '../../../model/hierarchy/dendrogram.ts';
import { evidenceHalves, evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import { linkedHalves } from '../../../model/hierarchy/merge-tree.ts';
import { generator } from '../../../model/random.ts';
import type { Parts } from '../../../model/state.ts';
import { addStatistics } from '../../../model/statistics.ts';
import { graphOf, randomGraph } from '../graph/support.ts';
import { close, forAll, statisticsOf } from '../support.ts';

const ALPHA = 10;
const prior = niwPrior({
  ...{ mean: new Float64Array(2), kappa: 1e-4, nu: 5, covariance: 'full' as const },
  psi: Float64Array.of(2, 0, 0, 2),
});

/** Rows about a centre, cut in two where the first column is that of the centre. */
function halvedBlob(seed: number, centre: number, rows: number): Parts {
  const rng = generator(BigInt(seed), 'blob');
  const points = Array.from({ length: rows }, () => [centre + rng.normal(), rng.normal()]);
  return [true, false].map((left) =>
    statisticsOf(points.filter(([x]) => x < centre === left).flat(), 2, 'full'),
  );
}

/** Rows about two centres. */
const twoBlobs = (seed: number, centre: number, distance: number, rows: number): Parts =>
  [centre, centre + distance].map((at, i) => {
    const [a, b] = halvedBlob(10 * seed + i, at, rows / 2);
    return addStatistics(a, b);
  });

const totals = (parts: Parts[]) => parts.map(([a, b]) => addStatistics(a, b));
/** A single proposal for each cluster. */
const alone = (parts: Parts[]) => parts.map((pair) => [pair]);
const heightsOf = (halves: (ClusterHalves | null)[]) => halves.map((own) => own?.height ?? Number.NaN);

describe('by the evidence', () => {
  const parts = [halvedBlob(1, 0, 200), twoBlobs(2, 100, 5, 200), twoBlobs(3, 200, 9, 100)];

  test('a cluster that is two gains by its split, one that is a Gaussian loses', () => {
    const halves = evidenceHalves(prior, totals(parts), alone(parts), ALPHA);
    const [gaussian, near, far] = heightsOf(halves);
    assert.ok(gaussian < 0 && near > 0 && far > 0, `${gaussian}, ${near}, ${far}`);
    const next = nextSplits([200, 200, 100], halves, 'falling');
    assert.equal(next.length, 3);
    assert.deepEqual(next.at(-1)!.cluster, 0);
    assert.deepEqual(next.find(({ cluster }) => cluster === 1)!.sizes, [100, 100]);
    assert.ok(next.every(({ height }, i) => i === 0 || height <= next[i - 1].height));
  });

  test('the height is that of the join which would undo the split', () => {
    const [halves] = evidenceHalves(prior, [totals(parts)[1]], [[parts[1]]], ALPHA);
    close(halves!.height, evidenceTree(prior, parts[1], ALPHA, 2)[0].height, 1e-12);
    // Among more rows it is less for each of them.
    const of = (T: Float64Array[]) => evidenceHalves(prior, T, alone(parts), ALPHA)[1]!.height;
    close(5 * of(totals(parts)), halves!.height * 2, 1e-12);
  });

  test('halves that are empty, too small or too flat are none, and leave the others as they are', () => {
    const blob = (rows: number) => twoBlobs(5, 0, 4, 2 * rows);
    const empty = new Float64Array(6);
    // A sum of squares that is less than that of the mean.
    const impossible = Float64Array.of(50, 5000, 0, 1, 0, 50);
    const cases: Parts[] = [
      parts[1],
      [blob(20)[0], empty],
      [empty, empty],
      [blob(5)[0], blob(20)[1]],
      [impossible, blob(20)[1]],
      parts[2],
    ];
    const halves = evidenceHalves(prior, totals(cases), alone(cases), ALPHA);
    assert.deepEqual(
      halves.map((own) => own !== null),
      [true, false, false, false, false, true],
    );
    // Nor if all rows together leave less than one to a half.
    const few = evidenceHalves(
      prior,
      [Float64Array.of(1.5, 0, 0, 1, 0, 1), totals(parts)[0]],
      alone(parts),
      ALPHA,
    );
    assert.deepEqual(
      few.map((own) => own !== null),
      [false, true],
    );
  });
});

describe('by the graph', () => {
  test('a cluster of two parts with few links is the first, along its best cut', () => {
    // Rows 0 to 7: two cliques of four with one edge between them; rows 8 to 15: all are linked.
    const edges: [number, number, number][] = [];
    for (let i = 0; i < 16; i++)
      for (let j = 0; j < i; j++)
        if (i >= 8 ? j >= 8 : Math.floor(i / 4) === Math.floor(j / 4)) edges.push([i, j, 1]);
    const graph = graphOf(16, [...edges, [3, 4, 0.5], [7, 8, 0.1]]);
    const degree = degrees(graph);
    const total = degree.reduce((a, b) => a + b, 0);
    const label = Int32Array.from({ length: 16 }, (_, row) => (row < 8 ? 1 : 0));
    // The first cut takes every other row, the second the cliques of cluster 1.
    const side = Float32Array.from({ length: 32 }, (_, at) => {
      const row = at >> 1;
      return at % 2 ? +(row % 8 >= 4) : row % 2;
    });
    const links = halfLinks({ graph, label, clusters: 2 }, side, 2, degree);
    const halves = linkedHalves(links, 2, total, 4);
    // 0.5 between halves of volumes 12.5 and 12.6.
    close(halves[1]!.height, (0.5 * total) / (12.5 * 12.6), 1e-12);
    assert.deepEqual(
      nextSplits([800, 8], halves, 'rising').map(({ cluster, sizes }) => [cluster, sizes]),
      [
        [1, [4, 4]],
        [0, [400, 400]],
      ],
    );
    assert.deepEqual(linkedHalves(links, 2, total, 5), [null, null]);
  });

  test('the height is the resolution at which the cluster is worth as much as its halves', () => {
    forAll([fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 6, max: 30 })], 50, (seed, n) => {
      const graph = randomGraph(seed, n, () => 0.5);
      const degree = degrees(graph);
      const rng = generator(BigInt(seed), 'next-split');
      const label = Int32Array.from({ length: n }, () => rng.below(2));
      const side = Float32Array.from({ length: n }, () => rng.below(2));
      const total = degree.reduce((a, b) => a + b, 0);
      const links = halfLinks({ graph, label, clusters: 2 }, side, 1, degree);
      linkedHalves(links, 1, total, 1).forEach((own, cluster) => {
        // Rows without edges are worth nothing anywhere.
        if (!own || links.volume.subarray(2 * cluster, 2 * cluster + 2).includes(0)) return;
        const apart = label.map((k, row) => (k === cluster && side[row] ? 2 : k));
        close(quality(graph, apart, own.height), quality(graph, label, own.height), 1e-9);
        assert.ok(quality(graph, apart, own.height + 1) > quality(graph, label, own.height + 1));
      });
    });
  });
});

describe('the next splits', () => {
  const halves = (one: number, other: number, height = 1): ClusterHalves => ({ rows: [one, other], height });
  const sizesOf = (size: number, one: number, other: number) =>
    nextSplits([size], [halves(one, other)], 'rising')[0].sizes;

  test('share out all rows of the cluster, the larger part first, none of them without rows', () => {
    assert.deepEqual(sizesOf(1000, 30, 10), [750, 250]);
    assert.deepEqual(sizesOf(1000, 10, 30), [750, 250]);
    assert.deepEqual(sizesOf(7, 20, 20), [4, 3]);
    assert.deepEqual(sizesOf(2, 999, 1), [1, 1]);
    assert.deepEqual(sizesOf(5, 999, 1), [4, 1]);
    assert.deepEqual(nextSplits([1], [halves(6, 6)], 'rising'), []);
    forAll(
      [fc.integer({ min: 2, max: 1e9 }), fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e6 })],
      (size, one, other) => {
        const [a, b] = sizesOf(size, one, other);
        assert.ok(a >= b && b >= 1 && a + b === size && Number.isInteger(a));
        const share = (size * Math.min(one, other)) / (one + other);
        assert.ok(Math.abs(b - share) <= 0.5 || b === 1, `${b} of ${share}`);
      },
    );
  });

  test('are in order, those at the same height by their cluster; without those that have no halves', () => {
    const all = [halves(5, 5, 0.5), null, halves(5, 5, 0.2), halves(5, 5, 0.5), halves(5, 5, Number.NaN)];
    const clusters = (order: 'rising' | 'falling') =>
      nextSplits([10, 10, 10, 10, 10], all, order).map(({ cluster }) => cluster);
    assert.deepEqual(clusters('rising'), [2, 0, 3]);
    assert.deepEqual(clusters('falling'), [0, 3, 2]);
  });
});
