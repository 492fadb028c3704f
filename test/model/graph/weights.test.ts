import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { degrees, directedWeights, multiplied, subgraph, symmetrized } from '../../../model/graph/weights.ts';
import { close, forAll, normalRows } from '../support.ts';
import { matrixOf, nearest, randomGraph } from './support.ts';

/** w = exp(−(d − d₁)/s) with s by 200 bisections of Σw = log₂ k, in the logarithm of s. */
function weightsByBisection(distance: Float32Array): number[] {
  const beyond = Array.from(distance, (d) => d - distance[0]);
  const sum = (s: number) => beyond.reduce((total, d) => total + Math.exp(-d / s), 0);
  let [low, high] = [1e-60, 1e60];
  for (let step = 0; step < 200; step++) {
    const middle = Math.sqrt(low) * Math.sqrt(high);
    if (sum(middle) > Math.log2(beyond.length)) high = middle;
    else low = middle;
  }
  return beyond.map((d) => Math.exp(-d / low));
}

/** A row of ascending distances, on scales that differ by many orders of magnitude, and with ties. */
const rowArbitrary = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: -6, max: 6 })), {
    minLength: 3,
    maxLength: 40,
  })
  .map((pairs) => Float32Array.from(pairs, ([digit, power]) => digit * 10 ** power).sort());

describe('directed weights', () => {
  test('are those found by bisection', () => {
    forAll([rowArbitrary], 500, (row) => {
      const expected = weightsByBisection(row);
      const actual = directedWeights(row, row.length);
      for (const [j, w] of actual.entries())
        assert.ok(Math.abs(w - expected[j]) < 1e-9, `${w}, not ${expected[j]}`);
    });
  });

  test('of duplicates are 1; those of the others 0 where duplicates alone exceed the sum', () => {
    assert.deepEqual(directedWeights(new Float32Array(6), 6), new Float64Array(6).fill(1));
    assert.deepEqual(directedWeights(new Float32Array(6).fill(0.3), 6), new Float64Array(6).fill(1));
    // log₂ 8 is 3.
    assert.deepEqual(
      directedWeights(Float32Array.of(0, 0, 0, 0, 1, 2, 3, 4), 8),
      Float64Array.of(1, 1, 1, 1, 0, 0, 0, 0),
    );
    assert.deepEqual(
      directedWeights(Float32Array.of(0, 0, 0, 1, 1, 2, 3, 4), 8),
      Float64Array.of(1, 1, 1, 0, 0, 0, 0, 0),
    );
    const two = directedWeights(Float32Array.of(0, 0, 1, 1, 1, 1, 1, 1), 8);
    close(two, [1, 1, ...Array(6).fill(1 / 6)], 1e-12);
    assert.deepEqual(directedWeights(Float32Array.of(2), 1), Float64Array.of(1));
  });
});

describe('symmetrized', () => {
  test('has w + w′ − w·w′ between each two rows, ascending, without zeros', () => {
    forAll([fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 6 })], (seed, k) => {
      const n = 25;
      const { index, distance } = nearest(normalRows(seed, n, 3), 3, k);
      const weight = directedWeights(distance, k);
      // Nothing may rely on the order of neighbours in a row.
      for (let i = 0; i < n; i += 2) {
        index.subarray(i * k, (i + 1) * k).reverse();
        weight.subarray(i * k, (i + 1) * k).reverse();
      }
      weight[0] = 0;
      const directed = Array.from({ length: n }, () => Array<number>(n).fill(0));
      for (const [e, j] of index.entries()) directed[Math.floor(e / k)][j] = weight[e];
      const expected = directed.map((row, i) => row.map((w, j) => w + directed[j][i] - w * directed[j][i]));
      const graph = symmetrized(index, weight, k);
      const actual = matrixOf(graph);
      for (let i = 0; i < n; i++) {
        close(actual[i], expected[i], 1e-15);
        for (let j = 0; j < n; j++) assert.equal(actual[i][j], actual[j][i]);
        const row = graph.index.subarray(graph.starts[i], graph.starts[i + 1]);
        assert.deepEqual(row, row.slice().sort());
      }
      assert.equal(graph.index.length, expected.flat().filter((w) => w > 0).length);
      assert.ok(graph.weight.every((w) => w > 0));
      close(
        degrees(graph),
        expected.map((row) => row.reduce((a, b) => a + b)),
        1e-14,
      );
    });
  });

  test('rejects neighbours that are not other rows', () => {
    const weight = Float64Array.of(1, 1, 1);
    for (const index of [
      [1, 2, 3],
      [1, -1, 0],
      [1, 1, 0],
    ])
      assert.throws(() => symmetrized(Int32Array.from(index), weight, 1), RangeError);
  });
});

test('a subgraph has the edges among its rows', () => {
  const graph = randomGraph(1, 30, () => 0.4);
  const whole = matrixOf(graph);
  const isolated = Array.from({ length: 30 }, (_, i) => i).filter((i) => whole[0][i] === 0);
  for (const rows of [[], [4], [0, 3, 4, 11, 28, 29], [...whole.keys()], isolated]) {
    const own = subgraph(graph, Int32Array.from(rows));
    assert.deepEqual(
      matrixOf(own),
      rows.map((i) => rows.map((j) => whole[i][j])),
    );
    assert.deepEqual([own.starts.length, own.starts.at(-1)], [rows.length + 1, own.index.length]);
  }
});

test('an edge counts for each pair of the rows that its ends stand for', () => {
  const graph = randomGraph(2, 20, () => 0.4);
  const sizes = Int32Array.from({ length: 20 }, (_, i) => 1 + (i % 4));
  const expected = matrixOf(graph).map((row, i) => row.map((w, j) => w * (sizes[i] * sizes[j])));
  assert.deepEqual(matrixOf(multiplied(graph, sizes)), expected);
});
