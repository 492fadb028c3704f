// Which units and axes the columns have does not matter: properties of whole runs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { train } from '../../index.ts';
import { starting } from '../../library/workers.ts';
import { ari, contingency } from '../../model/scores.ts';
import { workersHere } from '../recipes/here.ts';
import { D, easyData, K, resultHashes, scratch } from './support.ts';

starting.localWorkers = workersHere;

const folder = scratch();
const ROWS = 600;
const { rows } = easyData(folder, 'easy', ROWS);

let runs = 0;

/** Clusters rows of the easy data that were changed. */
async function clusteringOf(change: (row: Float64Array) => number[]) {
  const values = new Float32Array(ROWS * D);
  for (let i = 0; i < ROWS; i++)
    values.set(change(Float64Array.from(rows.subarray(i * D, (i + 1) * D))), i * D);
  const out = join(folder, `run-${runs++}`);
  const quick = { splitMergeEvery: 3, batchSize: 16, workers: 1, report: false };
  const { k, labels } = await train({ data: { values, columns: D }, out, ...quick });
  return { k, labels, out };
}

/** A row in three dimensions, turned by an angle in each plane of two axes. */
function rotated(row: ArrayLike<number>, angles: number[]): number[] {
  const out = Array.from(row);
  for (const [plane, angle] of angles.entries()) {
    const [i, j] = [plane, (plane + 1) % D];
    const [x, y] = [out[i], out[j]];
    out[i] = Math.cos(angle) * x - Math.sin(angle) * y;
    out[j] = Math.sin(angle) * x + Math.cos(angle) * y;
  }
  return out;
}

type Clustering = Awaited<ReturnType<typeof clusteringOf>>;

/** Results in the units of the file: the steps of the model, and the means of columns. */
const IN_UNITS = ['model/', 'clusters.json'];

/** Hashes of all other results. */
const unitless = ({ out }: Clustering) =>
  resultHashes(out).filter((line) => !IN_UNITS.some((name) => line.startsWith(name)));

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
      { numRuns: 2, endOnFailure: true },
    );
  });

  test('finds the same clusters whatever the scales, axes and origin', async () => {
    const numbers = (most: number) =>
      fc
        .array(fc.integer({ min: -1000, max: 1000 }), { minLength: D, maxLength: D })
        .map((all) => all.map((value) => (value * most) / 1000));
    await fc.assert(
      fc.asyncProperty(numbers(Math.PI), numbers(3), numbers(300), async (angles, powers, origin) => {
        const moved = await clusteringOf((row) =>
          rotated(row, angles).map((value, j) => 10 ** powers[j] * (value + origin[j])),
        );
        assert.equal(moved.k, K);
        const agreement = ari(contingency([...moved.labels], [...plain.labels]));
        assert.ok(agreement >= 0.99, `ARI ${agreement}`);
      }),
      { numRuns: 2, endOnFailure: true },
    );
  });
});
