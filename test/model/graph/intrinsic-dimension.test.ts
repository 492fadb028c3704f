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
