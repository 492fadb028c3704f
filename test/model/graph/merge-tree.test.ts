import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quality } from '../../../model/graph/louvain.ts';
import type { Join } from '../../../model/hierarchy/dendrogram.ts';
import { mergeTree } from '../../../model/hierarchy/merge-tree.ts';
import { generator } from '../../../model/random.ts';
import { close, forAll } from '../support.ts';
import { graphOf } from './support.ts';

/** Weights between k clusters, of which a share is 0 and the others are small whole numbers, so that there are ties. */
function weightsOf(seed: number, k: number, share: number, largest: number) {
  const rng = generator(BigInt(seed), 'weights');
  const weights = new Float64Array(k * k);
  for (let a = 0; a < k; a++)
    for (let b = 0; b <= a; b++)
      weights[a * k + b] = weights[b * k + a] = rng.uniform() < share ? 0 : 1 + rng.below(largest);
  const volumes = Float64Array.from({ length: k }, (_, a) =>
    weights.subarray(a * k, (a + 1) * k).reduce((x, y) => x + y, 0),
  );
  return { weights, volumes };
}

/** The first of the best pairs in each step, from the members of all clusters. */
function naiveTree(weights: Float64Array, volumes: Float64Array): Join[] {
  const k = volumes.length;
  const total = volumes.reduce((x, y) => x + y, 0);
  const clusters = Array.from({ length: k }, (_, c) => ({ id: c, members: [c] }));
  const joins: Join[] = [];
  while (clusters.length > 1) {
    let best = { x: 0, y: 0, height: -1 };
    for (let x = 0; x < clusters.length; x++)
      for (let y = x + 1; y < clusters.length; y++) {
        const [a, b] = [clusters[x].members, clusters[y].members];
        const volume = (of: number[]) => of.reduce((sum, c) => sum + volumes[c], 0);
        const weight = a.reduce((sum, i) => sum + b.reduce((s, j) => s + weights[i * k + j], 0), 0);
        const height = weight > 0 ? (weight * total) / (volume(a) * volume(b)) : 0;
        if (height > best.height) best = { x, y, height };
      }
    const [one, other] = [clusters[best.x], clusters[best.y]];
    joins.push({
      a: Math.min(one.id, other.id),
      b: Math.max(one.id, other.id),
      height: best.height,
    });
    clusters[best.x] = { id: k + joins.length - 1, members: [...one.members, ...other.members] };
    clusters.splice(best.y, 1);
  }
  return joins;
}

test('joins the best pair of all in each step, the first on a tie', () => {
  forAll(
    [
      fc.integer({ min: 0, max: 1e6 }),
      fc.integer({ min: 1, max: 24 }),
      fc.constantFrom(0, 0.5, 0.9, 1),
      fc.constantFrom(1, 3, 1e6),
    ],
    300,
    (seed, k, share, largest) => {
      const { weights, volumes } = weightsOf(seed, k, share, largest);
      assert.deepEqual(mergeTree(weights, volumes), naiveTree(weights, volumes));
    },
  );
});

test('the height is the resolution at which a union is worth as much as its parts', () => {
  const graph = graphOf(5, [
    [0, 1, 2],
    [0, 2, 0.3],
    [1, 4, 0.2],
    [2, 3, 1],
    [3, 4, 0.5],
  ]);
  const [weights, volumes] = [new Float64Array(25), new Float64Array(5)];
  for (let i = 0; i < 5; i++)
    for (let e = graph.starts[i]; e < graph.starts[i + 1]; e++) {
      weights[i * 5 + graph.index[e]] = graph.weight[e];
      volumes[i] += graph.weight[e];
    }
  const labels = Int32Array.from({ length: 5 }, (_, i) => i);
  for (const [j, { a, b, height }] of mergeTree(weights, volumes).entries()) {
    const before = labels.slice();
    for (let i = 0; i < 5; i++) if (labels[i] === a || labels[i] === b) labels[i] = 5 + j;
    close(quality(graph, labels, height), quality(graph, before, height), 1e-12);
    assert.ok(quality(graph, labels, 0.9 * height) > quality(graph, before, 0.9 * height));
  }
});

test('clusters without any weight between them are joined last, at 0', () => {
  assert.deepEqual(mergeTree(Float64Array.of(2, 1, 0, 1, 2, 0, 0, 0, 0), Float64Array.of(3, 3, 0)), [
    { a: 0, b: 1, height: 6 / 9 },
    { a: 2, b: 3, height: 0 },
  ]);
  assert.deepEqual(mergeTree(Float64Array.of(4), Float64Array.of(4)), []);
});
