import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { twoNearestNeighbours } from '../../../model/graph/stability.ts';
import { generator } from '../../../model/random.ts';
import { close } from '../support.ts';
import { nearest } from './support.ts';

describe('two nearest neighbours', () => {
  const cube = (seed: number, n: number, d: number) => {
    const rng = generator(BigInt(seed), 'cube');
    return Float64Array.from({ length: n * d }, () => rng.uniform());
  };

  for (const d of [2, 8])
    test(`find the dimension of a ${d}-dimensional cube`, () => {
      // Opposite faces are joined: near a face rows have fewer neighbours, and an open cube seems to have 7 dimensions, not 8.
      const { distance } = nearest(cube(d, 3000, d), d, 2, 1);
      const found = twoNearestNeighbours(distance, 2);
      assert.ok(Math.abs(found - d) < 0.1 * d, `${found}`);
    });

  test('is the maximum of the likelihood of the lower nine tenths', () => {
    // log μ at the expected order statistics of an exponential distribution of rate 5.
    const n = 2000;
    const logs = Array.from({ length: n }, (_, i) => -Math.log(1 - (i + 0.5) / n) / 5);
    const distances = logs.map((log, i) => [(1 + i) / 100, ((1 + i) / 100) * Math.exp(log)]);
    close(twoNearestNeighbours(Float32Array.from(distances.flat()), 2), 5, 0.002);
    // What the largest tenth is does not matter.
    const outliers = distances.map(([first, second], i) => [first, i < 0.9 * n ? second : 1e6 * first]);
    close(twoNearestNeighbours(Float32Array.from(outliers.flat()), 2), 5, 0.002);
  });

  test('leaves out duplicates and ties', () => {
    const rows = [1, 2, 1, 3, 2, 3];
    const found = twoNearestNeighbours(Float32Array.from(rows), 2);
    close(found, 3 / (Math.log(2) + Math.log(3) + Math.log(1.5)), 1e-6);
    const more = Float32Array.of(0, 1, ...rows, 2, 2, 0, 0);
    assert.equal(twoNearestNeighbours(more, 2), found);
    assert.equal(twoNearestNeighbours(Float32Array.of(0, 1, 0, 0, 2, 2), 2), 0);
    assert.equal(twoNearestNeighbours(new Float32Array(0), 2), 0);
    assert.throws(() => twoNearestNeighbours(Float32Array.of(1, 2), 1), RangeError);
  });
});
