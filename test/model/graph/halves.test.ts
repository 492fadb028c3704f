import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Clusters, halfLinks, startingSides, sweptSides } from '../../../model/graph/halves.ts';
import { degrees } from '../../../model/graph/weights.ts';
import { argmaxRows, layersOf, logits, subNets } from '../../../model/nets/net.ts';
import { generator } from '../../../model/random.ts';
import { close, forAll } from '../support.ts';
import { graphOf, matrixOf, randomGraph } from './support.ts';

const CLUSTERS = 3;

interface Case {
  of: Clusters;
  cuts: number;
  side: Float32Array;
}

/** A random graph, labels, and sides of which some are 0, ½ and 1. */
const cases = fc
  .tuple(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 3 }))
  .map(([seed, n, cuts]): Case => {
    const rng = generator(BigInt(seed), 'halves-test');
    const graph = randomGraph(seed, n, () => 0.4);
    const label = Int32Array.from({ length: n }, () => rng.below(CLUSTERS));
    const side = Float32Array.from({ length: n * cuts }, () =>
      rng.below(2) ? rng.below(3) / 2 : rng.uniform(),
    );
    return { of: { graph, label, clusters: CLUSTERS }, cuts, side };
  });

/** The weights between rows of the same cluster. */
const inner = ({ graph, label }: Clusters) =>
  matrixOf(graph).map((row, i) => row.map((w, j) => (label[i] === label[j] ? w : 0)));

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

describe('halves of clusters', () => {
  test('move by the formula of a sweep', () => {
    forAll([cases, fc.constantFrom(0.5, 2, 4)], ({ of, cuts, side }, coupling) => {
      const weights = inner(of);
      const graph = graphOf(
        of.label.length,
        weights.flatMap((row, i) => row.slice(0, i).flatMap((w, j) => (w > 0 ? [[i, j, w] as const] : []))),
      );
      const next = sweptSides({ ...of, graph }, side, cuts, coupling);
      for (const [i, row] of weights.entries())
        for (let cut = 0; cut < cuts; cut++) {
          const linkOf = (half: (q: number) => number) =>
            sum(row.map((w, j) => w * half(side[j * cuts + cut])));
          const [w0, w1] = [linkOf((q) => 1 - q), linkOf((q) => q)];
          const volumeOf = (half: (q: number) => number) =>
            sum(
              weights.map((own, j) =>
                of.label[j] === of.label[i] ? sum(own) * half(side[j * cuts + cut]) : 0,
              ),
            );
          const [zero, one] = [volumeOf((q) => 1 - q), volumeOf((q) => q)];
          const balance = zero + one > 0 ? (one - zero) / (zero + one) : 0;
          // log q/(1 − q)
          const logit = coupling * (w1 - w0 - (w0 + w1) * balance);
          close(next[i * cuts + cut], 1 / (1 + Math.exp(-logit)), 1e-6);
        }
    });
  });

  test('of a row without neighbours in its cluster are ½, and never NaN', () => {
    const of = { graph: randomGraph(1, 6, () => 0), label: new Int32Array(6), clusters: 1 };
    assert.deepEqual([...sweptSides(of, Float32Array.of(0, 1, 0, 1, 1, 1), 1, 4)], Array(6).fill(0.5));
  });

  test('have the links of hard sides: each edge between them once', () => {
    forAll([cases], ({ of, cuts, side }) => {
      const degree = degrees(of.graph);
      const found = halfLinks(of, side, cuts, degree);
      const weights = inner(of);
      for (let cluster = 0; cluster < CLUSTERS; cluster++)
        for (let cut = 0; cut < cuts; cut++) {
          const own = [...of.label.keys()].filter((i) => of.label[i] === cluster);
          const [zero, one] = [false, true].map((half) =>
            own.filter((i) => side[i * cuts + cut] > 0.5 === half),
          );
          const place = cluster * cuts + cut;
          assert.deepEqual(
            [...found.rows.subarray(2 * place, 2 * place + 2)],
            [zero, one].map(({ length }) => length),
          );
          const volumes = [zero, one].map((rows) => sum(rows.map((i) => degree[i])));
          close(found.volume.subarray(2 * place, 2 * place + 2), volumes, 1e-12);
          close(found.between[place], sum(zero.flatMap((i) => one.map((j) => weights[i][j]))), 1e-12);
        }
    });
  });

  test('start by the sub-net of the cluster, and by a threshold along each of its axes', () => {
    const subs = subNets(3n, 2, CLUSTERS);
    const rng = generator(3n, 'halves-test');
    const n = 60;
    const rows = Float32Array.from({ length: 2 * n }, () => rng.normal());
    const label = Int32Array.from({ length: n }, () => rng.below(CLUSTERS));
    const scale = Float64Array.of(2, 0.5);
    // Along the first column in clusters 0 and 1, along the second one in 2.
    const axes = Float64Array.of(1, 0, 1, 0, 0, 1);
    const threshold = Float64Array.of(0, 0.5, -0.5);
    const side = startingSides(rows, scale, label, subs, { axes, threshold, count: 1 });
    for (let i = 0; i < n; i++) {
      const y = Float32Array.of(rows[2 * i] / 2, rows[2 * i + 1] / 0.5);
      assert.equal(side[2 * i], argmaxRows(logits(layersOf(subs, label[i]), y), 2)[0]);
      assert.equal(side[2 * i + 1], +(rows[2 * i + (label[i] === 2 ? 1 : 0)] > threshold[label[i]]));
    }
    assert.equal(startingSides(rows, scale, label, subs, { axes, threshold, count: 0 }).length, n);
  });
});
