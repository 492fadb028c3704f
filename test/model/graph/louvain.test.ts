import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { partition, quality } from '../../../model/graph/louvain.ts';
import type { Graph } from '../../../model/graph/weights.ts';
import { generator } from '../../../model/random.ts';
import { close, forAll } from '../support.ts';
import { graphOf, matrixOf, randomGraph } from './support.ts';

const rng = (seed: number) => generator(BigInt(seed), 'louvain-test');
const rowsOf = (graph: Graph) => graph.starts.length - 1;

/** Modularity at a resolution, as a sum over all pairs of rows: Σ (w_ij/total − γ·d_i·d_j/total²) where labels are equal. */
function qualityByPairs(graph: Graph, labels: Int32Array, gamma: number): number {
  const matrix = matrixOf(graph);
  const degree = matrix.map((row) => row.reduce((a, b) => a + b, 0));
  const total = degree.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (const [i, row] of matrix.entries())
    for (const [j, w] of row.entries())
      if (labels[i] === labels[j]) sum += w / total - (gamma * degree[i] * degree[j]) / total ** 2;
  return sum;
}

const graphs = fc
  .tuple(
    fc.integer({ min: 0, max: 1e6 }),
    fc.integer({ min: 2, max: 40 }),
    fc.double({ min: 0.03, max: 0.6, noNaN: true }),
  )
  .map(([seed, n, chance]) => randomGraph(seed, n, () => chance));
const gammas = fc.constantFrom(0.25, 0.5, 1, 2, 5.6, 16);

describe('quality', () => {
  test('is modularity, by its definition', () => {
    forAll([graphs, gammas, fc.integer({ min: 1, max: 5 })], (graph, gamma, k) => {
      const draws = rng(k);
      const labels = Int32Array.from({ length: rowsOf(graph) }, () => draws.below(k));
      if (graph.index.length > 0)
        close(quality(graph, labels, gamma), qualityByPairs(graph, labels, gamma), 1e-12);
    });
  });
});

describe('partition', () => {
  test('moves to where quality rises: in the end no row and no union of two clusters can raise it', () => {
    forAll([graphs, gammas, fc.integer({ min: 0, max: 1e6 })], (graph, gamma, seed) => {
      const labels = partition(graph, gamma, rng(seed), 100);
      const k = Math.max(...labels) + 1;
      const reached = quality(graph, labels, gamma);
      const isNoGain = (other: Int32Array) =>
        assert.ok(quality(graph, other, gamma) < reached + 1e-9, `${labels} to ${other}`);
      // Rows move to clusters of their neighbours only.
      for (const [i, row] of matrixOf(graph).entries())
        for (const [j, w] of row.entries()) if (w > 0) isNoGain(labels.with(i, labels[j]));
      for (let a = 0; a < k; a++)
        for (let b = 0; b < a; b++) isNoGain(labels.map((label) => (label === a ? b : label)));
    });
  });

  test('finds planted clusters, of different sizes and degrees', () => {
    const truth = Int32Array.from({ length: 210 }, (_, i) => (i < 100 ? 0 : i < 160 ? 1 : i < 190 ? 2 : 3));
    const within = [0.4, 0.8, 0.7, 0.9];
    const graph = randomGraph(5, 210, (i, j) => (truth[i] === truth[j] ? within[truth[i]] : 0.02));
    for (let seed = 0; seed < 5; seed++) assert.deepEqual(partition(graph, 1, rng(seed)), truth);
  });

  test('depends on the generator alone; labels are numbered in order of appearance', () => {
    const graph = randomGraph(2, 200, () => 0.05);
    const found = new Set<string>();
    for (let seed = 0; seed < 5; seed++) {
      const labels = partition(graph, 2, rng(seed));
      assert.deepEqual(partition(graph, 2, rng(seed)), labels);
      found.add(String(labels));
      let next = 0;
      for (const label of labels) {
        assert.ok(label <= next);
        next = Math.max(next, label + 1);
      }
    }
    assert.ok(found.size > 1);
  });

  test('rows without edges are clusters of their own', () => {
    assert.deepEqual(partition(graphOf(0, []), 1, rng(0)), new Int32Array(0));
    assert.deepEqual(partition(graphOf(3, []), 1, rng(0)), Int32Array.of(0, 1, 2));
    assert.deepEqual(partition(graphOf(4, [[1, 3, 1]]), 1, rng(0)), Int32Array.of(0, 1, 2, 1));
  });
});
