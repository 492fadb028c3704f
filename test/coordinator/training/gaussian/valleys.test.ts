import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { valleyShares } from '../../../../coordinator/training/gaussian/shapes.ts';
import type { Rule } from '../../../../coordinator/training/gaussian/sub-clusters.ts';
import { niwPrior } from '../../../../model/niw.ts';
import type { Parts } from '../../../../model/state.ts';
import {
  blobs,
  calculate,
  memoryRounds,
  nearestOf,
  type Point,
  randomNumbers,
  statisticsOf,
} from '../../support.ts';

const where = <T>(items: T[], wanted: (i: number) => boolean) => items.filter((_, i) => wanted(i));
const prior = niwPrior({
  ...{ mean: Float64Array.of(0, 0), kappa: 1e-4, nu: 4 },
  ...{ psi: Float64Array.of(1, 0, 0, 1), covariance: 'full', estimate: 'mean' },
});

/** A cluster's rows, and the parts of them around these centres. */
function proposal(rows: Point[], centres: Point[]): Proposed {
  const part = rows.map((row) => nearestOf(row, centres));
  const parts = centres.map((_, j) => statisticsOf(where(rows, (i) => part[i] === j)));
  const rule: Rule = { centres: centres.map((centre) => Float64Array.from(centre)) };
  return { rows, parts, rule };
}

type Proposed = { rows: Point[]; parts: Parts; rule: Rule };

/** The shares of the proposals, each of one cluster; and the number of rounds. */
async function sharesOf(proposals: (Proposed | null)[], others: Point[] = [[0, 0]]) {
  const own = proposals.map((of) => of?.rows ?? others);
  const rounds = memoryRounds({ rows: own.flat(), z: own.flatMap((rows, k) => rows.map(() => k)) });
  const chosen = new Map(proposals.flatMap((of, k) => (of ? [[k, of] as const] : [])));
  const shares = await valleyShares({ rounds, calculate }, prior, chosen, proposals.length);
  assert.deepEqual([...shares.keys()], [...chosen.keys()]);
  return { shares: [...shares.values()], rounds: rounds.calls.cellHistograms };
}

const line = (xs: number[]) => xs.map((x): Point => [x, 0]);
const two = proposal(blobs(1, line([0, 8]), 300).rows, line([0, 8]));
const one = proposal(blobs(2, line([0]), 600).rows, line([-0.8, 0.8]));

describe('valleys between the parts of proposals', () => {
  test('separate two blobs; not the halves of one', async () => {
    assert.deepEqual((await sharesOf([two])).shares, [1]);
    assert.deepEqual((await sharesOf([one])).shares, [0]);
  });

  test('are looked for in all clusters in one round, whatever their numbers of parts, and not in other clusters', async () => {
    // Three blobs, the last of which is halved.
    const four = proposal(blobs(3, line([0, 9, 18]), 400).rows, line([0, 9, 17.2, 18.8]));
    const all = await sharesOf([one, null, four, two], line([3, 4, 5]));
    assert.deepEqual(all.shares, [0, 0.5, 1]);
    assert.equal(all.rounds, 1);
    for (const [i, of] of [one, four, two].entries())
      assert.deepEqual((await sharesOf([of])).shares, [all.shares[i]]);
  });

  test('do not depend on the columns’ scales, nor on the widest axis', async () => {
    const { normal } = randomNumbers(4);
    const wide = Array.from({ length: 800 }, (_, i): Point => [500 * normal(), normal() + 7 * (i % 2)]);
    const byRow = wide.map((_, i) => i % 2);
    const parts = [0, 1].map((j) => statisticsOf(where(wide, (i) => byRow[i] === j)));
    const rule: Rule = { weights: [Float64Array.of(0, 0), Float64Array.of(0, 1)], offsets: [0, -3.5] };
    assert.deepEqual((await sharesOf([{ rows: wide, parts, rule }])).shares, [1]);
    const halves = proposal(wide, line([-400, 400]));
    assert.deepEqual((await sharesOf([halves])).shares, [0], 'along the widest');
  });

  test('are not made by heavy tails', async () => {
    const found: number[] = [];
    for (let seed = 1; seed <= 20; seed++) {
      const { normal } = randomNumbers(seed);
      const rows = Array.from({ length: 2000 }, (): Point => {
        const scale = Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3);
        return [normal() / scale, normal() / scale];
      });
      found.push(...(await sharesOf([proposal(rows, line([-3, 0, 3]))])).shares);
    }
    assert.deepEqual(
      found.filter((share) => share >= 0.5),
      [],
    );
  });
});
