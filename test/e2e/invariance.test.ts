// Which units and axes the columns have does not matter: properties of whole runs with the default flags.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { train } from '../../index.ts';
import { ari, contingency } from '../../model/scores.ts';
import { invertible } from '../model/support.ts';
import { D, easyData, K, resultHashes, scratch } from './support.ts';

const folder = scratch();
const ROWS = 2000;
const { rows } = easyData(folder, 'easy', ROWS);

let runs = 0;

/** Clusters rows of the easy data that were changed. */
async function clusteringOf(change: (row: Float64Array) => number[]) {
  const values = new Float32Array(ROWS * D);
  for (let i = 0; i < ROWS; i++)
    values.set(change(Float64Array.from(rows.subarray(i * D, (i + 1) * D))), i * D);
  const out = join(folder, `run-${runs++}`);
  const { k, labels } = await train({ data: { values, columns: D }, out, workers: 1, report: false });
  return { k, labels, out };
}
type Clustering = Awaited<ReturnType<typeof clusteringOf>>;

/** Hashes of all results but the net, whose first layer takes rows in the units of the file. */
const unitless = ({ out }: Clustering) =>
  resultHashes(out).filter((line) => !line.startsWith('model/weights.bin'));

describe('a run', () => {
  let plain: Clustering;
  before(async () => {
    plain = await clusteringOf((row) => [...row]);
    assert.equal(plain.k, K);
  });

  test('has the same bytes if columns are scaled by powers of two', async () => {
    const exponents = fc.array(fc.integer({ min: -30, max: 30 }), { minLength: D, maxLength: D });
    await fc.assert(
      fc.asyncProperty(exponents, async (by) => {
        const scaled = await clusteringOf((row) => [...row.map((value, j) => value * 2 ** by[j])]);
        assert.deepEqual(unitless(scaled), unitless(plain));
      }),
      { numRuns: 4, endOnFailure: true },
    );
  });

  test('finds the same clusters whatever the scales, axes and origin', async () => {
    const shift = fc.array(fc.double({ min: -300, max: 300, noNaN: true }), { minLength: D, maxLength: D });
    const scale = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: D, maxLength: D });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), scale, shift, async (seed, powers, by) => {
        const map = invertible(seed, D);
        const moved = await clusteringOf((row) =>
          powers.map((power, j) => {
            const along = row.reduce((sum, value, i) => sum + map[j * D + i] * value, 0);
            return 10 ** power * (along + by[j]);
          }),
        );
        assert.equal(moved.k, K);
        const agreement = ari(contingency([...moved.labels], [...plain.labels]));
        assert.ok(agreement >= 0.99, `ARI ${agreement}`);
      }),
      { numRuns: 6, endOnFailure: true },
    );
  });
});
