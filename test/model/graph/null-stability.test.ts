import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chanceAt, nullStability } from '../../../model/graph/stability.ts';
import { close } from '../support.ts';

describe('stability by chance', () => {
  const curve = nullStability([
    { rows: 10, mean: 0.4 },
    { rows: 1000, mean: 0.1 },
    { rows: 100, mean: 0.3 },
  ]);

  test('is linear in the logarithm of the rows of a cluster, and constant beyond the ends', () => {
    assert.deepEqual(curve, { rows: [1000, 100, 10], mean: [0.1, 0.3, 0.4] });
    close(chanceAt(curve, 100), 0.3, 1e-12);
    close(chanceAt(curve, Math.sqrt(1000 * 100)), 0.2, 1e-12);
    close(chanceAt(curve, Math.sqrt(10 * 100)), 0.35, 1e-12);
    assert.equal(chanceAt(curve, 5000), 0.1);
    assert.equal(chanceAt(curve, 2), 0.4);
  });

  test('never falls with smaller clusters, as it does in few replicates', () => {
    const noisy = nullStability([
      { rows: 50, mean: 0.2 },
      { rows: 20, mean: 0.15 },
      { rows: 20, mean: 0.3 },
    ]);
    assert.deepEqual(noisy.mean, [0.2, 0.2, 0.3]);
    assert.ok(Number.isFinite(chanceAt(noisy, 20)));
  });
});
