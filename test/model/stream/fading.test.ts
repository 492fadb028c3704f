import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { generator } from '../../../model/random.ts';
import { addRow, statisticsLength } from '../../../model/statistics.ts';
import { comesBack, fadedClusters, peakOf, remembered } from '../../../model/stream/lineage.ts';

const D = 3;
const rng = generator('1', 'fading-test');
const prior = niwPrior({
  ...{ mean: new Float64Array(D), kappa: 1e-4, nu: 2 * D + 1 },
  ...{ psi: Float64Array.of(3, 0, 0, 0, 3, 0, 0, 0, 3), covariance: 'full', estimate: 'mean' },
});

/** Statistics of rows about a centre. */
function rowsAbout(centre: number[], n: number): Float64Array {
  const T = new Float64Array(statisticsLength(D, 'full'));
  for (let i = 0; i < n; i++)
    addRow(
      T,
      Float64Array.from(centre, (c) => c + rng.normal()),
      0,
      D,
      'full',
    );
  return T;
}

describe('clusters that fade', () => {
  const T = new Float64Array(1);
  test('are gone below 1/64 of their peak, unless all would be', () => {
    const peaks = [640, 640, 64].map((weight) => ({ weight, T }));
    assert.deepEqual(fadedClusters([9, 11, 1], peaks), [true, false, false]);
    assert.deepEqual(fadedClusters([1, 1, 0.5], peaks), [false, false, false]);
  });

  test('keep the statistics of when they weighed at least half of the most', () => {
    const [first, half, less] = [100, 200, 60].map((n) => rowsAbout([0, 0, 0], n));
    const grown = peakOf(peakOf(null, 100, first), 200, half);
    assert.deepEqual([grown.weight, grown.T], [200, half]);
    const faded = peakOf(grown, 60, less);
    assert.deepEqual([faded.weight, faded.T], [200, half]);
  });

  test('come back under their id where the two are one, whatever else is gone', () => {
    const gone = [
      { id: 3, since: 1, T: rowsAbout([9, 0, 0], 300) },
      { id: 7, since: 2, T: rowsAbout([0, 9, 0], 300) },
    ];
    assert.equal(comesBack(rowsAbout([0, 9, 0], 100), gone, prior, 10), 7);
    assert.equal(comesBack(rowsAbout([0, 0, 9], 100), gone, prior, 10), null);
    assert.equal(comesBack(rowsAbout([0, 9, 0], 100), [], prior, 10), null);
  });

  test('are remembered up to a limit, the latest', () => {
    const many = Array.from({ length: 1200 }, (_, id) => ({ id, since: 1, T }));
    const kept = remembered(many.slice(0, 700), many.slice(700));
    assert.deepEqual([kept.length, kept[0].id, kept.at(-1)!.id], [1000, 200, 1199]);
  });
});
