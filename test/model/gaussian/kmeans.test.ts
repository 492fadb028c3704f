import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseByWeight, lloydCentres, seedCandidate } from '../../../model/gaussian/kmeans.ts';
import { close } from '../support.ts';

const centres = [Float64Array.of(0, 0), Float64Array.of(4, 0)];
const rows = Float32Array.of(0, 0, 1, 0, 4, 3, 2, 0);

/** u = (i + ½)/steps for all i: an even grid in place of uniform random numbers. */
const grid = (steps: number) => Array.from({ length: steps }, (_, i) => (i + 0.5) / steps);

describe('kmeans', () => {
  test('draws are proportional to weights', () => {
    const counts = [0, 0, 0, 0];
    for (const u of grid(100)) counts[chooseByWeight([0, 3, 1, 0], u)]++;
    assert.deepEqual(counts, [0, 75, 25, 0]);
    assert.equal(chooseByWeight([0, 0, 0, 0], 0.6), 2);
    assert.equal(chooseByWeight([0, 1e-300, 0], 1 - 2 ** -53), 1);
  });

  test('a draw within shards, then of the shard, is a D² draw over all rows', () => {
    const chances = new Map<number, number>();
    const shards = [rows.subarray(0, 4), rows.subarray(4)];
    const steps = grid(140);
    for (const within of steps) {
      const candidates = shards.map((shard) => seedCandidate(shard, 2, centres, within)!);
      for (const u of steps) {
        const shard = chooseByWeight(
          candidates.map((c) => c.weight),
          u,
        );
        const row = 2 * shard + candidates[shard].row;
        chances.set(row, (chances.get(row) ?? 0) + 1 / steps.length ** 2);
      }
    }
    // D² to the nearest centre: 0, 1, 9, 4
    close(
      [0, 1, 2, 3].map((row) => chances.get(row) ?? 0),
      [0, 1 / 14, 9 / 14, 4 / 14],
      5e-3,
    );
  });

  test('weights of an earlier step replace the distances to its centres without changing the result', () => {
    let known: { centres: number; weights: Float64Array } | null = null;
    for (const count of [0, 1, 1, 2]) {
      const candidate: ReturnType<typeof seedCandidate> = seedCandidate(
        ...([rows, 2, centres.slice(0, count), 0.3, known] as const),
      );
      assert.ok(candidate);
      assert.deepEqual(candidate, seedCandidate(rows, 2, centres.slice(0, count), 0.3));
      known = { centres: count, weights: candidate.weights };
    }
    // Only the distances to the new centre are computed.
    const weights = new Float64Array(4).fill(1e-9);
    assert.ok(seedCandidate(rows, 2, centres, 0.3, { centres: 1, weights })!.weight <= 4e-9);
  });

  test('the first centre is uniform over rows; no rows, no candidate', () => {
    assert.deepEqual(seedCandidate(rows, 2, [], 0.5), {
      ...{ weight: 4, row: 2 },
      weights: new Float64Array(4).fill(1),
    });
    assert.equal(seedCandidate(new Float32Array(0), 2, centres, 0.5), null);
  });

  test('Lloyd centres are means; a centre without rows stays', () => {
    const sums = [
      { n: 2, s: Float64Array.of(6, 2) },
      { n: 0, s: Float64Array.of(0, 0) },
    ];
    assert.deepEqual(lloydCentres(sums, centres), [Float64Array.of(3, 1), centres[1]]);
  });
});
