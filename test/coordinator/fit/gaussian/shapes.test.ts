import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  discriminants,
  finalHalves,
  partsBy,
  shapeHalves,
  valleyShares,
} from '../../../../coordinator/fit/gaussian/shapes.ts';
import type { Rule, SubClusterProposal } from '../../../../coordinator/fit/gaussian/sub-clusters.ts';
import { niwPrior } from '../../../../model/gaussian/niw.ts';
import { discriminantRule } from '../../../../model/gaussian/splits.ts';
import { nextSplits } from '../../../../model/hierarchy/dendrogram.ts';
import { evidenceHalves } from '../../../../model/hierarchy/evidence-tree.ts';
import type { Parts } from '../../../../model/state.ts';
import { type Covariance, scaleStatistics } from '../../../../model/statistics.ts';
import {
  assertClose,
  blobs,
  meansOf,
  nearestOf,
  ofLabel,
  type Point,
  randomNumbers,
  type Scene,
  scene,
  statisticsOf,
  where,
} from '../support.ts';

const prior = niwPrior({
  ...{ mean: Float64Array.of(0, 0, 0), kappa: 1e-4, nu: 5.5 },
  ...{ psi: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), covariance: 'full', estimate: 'mean' },
});

/** Rows of two parts, apart along the last axis, the second with this share; the other axes are Gaussian and wide. */
function rowsOf(seed: number, count: number, share: number, at = 0): { rows: Point[]; part: number[] } {
  const { normal } = randomNumbers(seed);
  const part = Array.from({ length: count }, (_, i) => Number(i < share * count));
  return { part, rows: part.map((second) => [at + 300 * normal(), 40 * normal(), normal() + 9 * second]) };
}

const halves = rowsOf(1, 600, 0.5, 5000);
const minority = rowsOf(2, 800, 0.05);
const third = rowsOf(3, 50, 0.5, -9000);
const rows = [...halves.rows, ...third.rows, ...minority.rows];
const z = rows.map((_, i) => (i < 600 ? 0 : i < 650 ? 1 : 2));
const part = [...halves.part, ...third.part, ...minority.part];
const T = [0, 1, 2].map((k) => statisticsOf(ofLabel(rows, z, k)));
const run = () => meansOf({ rows, z });

/** The parts of halves by shape. */
async function halveByShape(
  ...[own, prior, chosen, T]: Parameters<typeof shapeHalves>
): Promise<SubClusterProposal> {
  const { rules } = await shapeHalves(own, prior, chosen, T);
  return { rules, parts: await partsBy(own, rules, T) };
}

const counts = ({ parts }: SubClusterProposal) =>
  parts.map((own) => own.map(([n]) => n).sort((a, b) => a - b));

describe('halves by shape', () => {
  test('separate balanced halves and a small part, along an axis that is not the widest; not in clusters left out', async () => {
    const own = run();
    const proposal = await halveByShape(own, prior, [true, false, true], T);
    assert.deepEqual([proposal.rules[1], proposal.parts[1]], [null, []]);
    for (const k of [0, 2]) {
      const found = proposal.parts[k].sort((a, b) => a[3] / a[0] - b[3] / b[0]);
      const expected = [0, 1].map((p) => statisticsOf(where(rows, (i) => z[i] === k && part[i] === p)));
      for (const side of [0, 1]) {
        assert.ok(
          Math.abs(found[side][0] - expected[side][0]) <= 2,
          `${found[side][0]} of ${expected[side][0]}`,
        );
        assertClose([found[side][3] / found[side][0]], [expected[side][3] / expected[side][0]], 0.1);
      }
      assert.equal(found[0][0] + found[1][0], T[k][0], 'no row is left out');
    }
    const { cellFourthMoments, cellHistograms, cellStatistics } = own.rounds.calls;
    assert.deepEqual([cellFourthMoments, cellHistograms, cellStatistics], [1, 1, 1]);
  });

  test('do not depend on the columns’ scales', async () => {
    const units = [1e-3, 50, 7];
    const scaled = rows.map((row) => row.map((value, j) => units[j] * value));
    const psi = prior.psi.map((value, p) => value * units[Math.floor(p / 3)] * units[p % 3]);
    const there = await halveByShape(
      meansOf({ rows: scaled, z }),
      niwPrior({ ...prior, psi }),
      [true, true, true],
      [0, 1, 2].map((k) => statisticsOf(ofLabel(scaled, z, k))),
    );
    assert.deepEqual(counts(there), counts(await halveByShape(run(), prior, [true, true, true], T)));
  });

  test('are none of a cluster with too few rows', async () => {
    const few = [0, 1, 2, 3].map((i): Point => [i, -i, i * i]);
    const all = { rows: [...rows, ...few], z: [...z, 3, 3, 3, 3] };
    const proposal = await halveByShape(
      meansOf(all),
      prior,
      [false, false, true, true],
      [...T, statisticsOf(few)],
    );
    assert.deepEqual([proposal.rules[3], proposal.parts[3]], [null, []]);
    assert.equal(proposal.parts[2].length, 2);
  });
});

describe('discriminants', () => {
  /** A wrong border: some rows of each half are on the other side. */
  const tilted: SubClusterProposal['rules'][0] = {
    weights: [Float64Array.of(0, 0, 0), Float64Array.of(0, 0.05, 1)],
    offsets: [0, -4.5],
  };
  const partsBy = (rule: typeof tilted, k: number): Parts => {
    assert.ok(rule && 'weights' in rule);
    const side = (row: Point) => {
      const values = rule.weights.map((w, j) => w.reduce((sum, v, i) => sum + v * row[i], rule.offsets[j]));
      return values.indexOf(Math.max(...values));
    };
    return rule.weights.map((_, j) =>
      statisticsOf(
        where(rows, (i) => z[i] === k && side(rows[i]) === j),
        'full',
        3,
      ),
    );
  };

  test('are drawn twice, each time by the parts before', async () => {
    const start: SubClusterProposal = { rules: [tilted, null, null], parts: [partsBy(tilted, 0), [], []] };
    const found = await discriminants(run(), prior, T, start);
    let parts = start.parts[0];
    for (let step = 0; step < 2; step++) parts = partsBy(discriminantRule(prior, parts), 0);
    for (const [j, own] of parts.entries()) assertClose(found.parts[0][j], own, 1e-9);
    assert.deepEqual(
      [found.rules.slice(1), found.parts.slice(1)],
      [
        [null, null],
        [[], []],
      ],
    );
    const exact = [0, 1].map((p) => statisticsOf(where(rows, (i) => z[i] === 0 && part[i] === p)));
    const wrong = (of: Parts) => Math.abs(of[0][0] - exact[0][0]) + Math.abs(of[0][3] - exact[0][3]);
    assert.ok(wrong(found.parts[0]) < wrong(start.parts[0]), 'nearer to the true halves');
  });
});

const plane = niwPrior({
  ...{ mean: Float64Array.of(0, 0), kappa: 1e-4, nu: 4 },
  ...{ psi: Float64Array.of(1, 0, 0, 1), covariance: 'full', estimate: 'mean' },
});

/** A cluster's rows, and the parts of them around these centres. */
function proposal(rows: Point[], centres: Point[]): Proposed {
  const part = rows.map((row) => nearestOf(row, centres));
  const parts = centres.map((_, j) => statisticsOf(ofLabel(rows, part, j)));
  const rule: Rule = { centres: centres.map((centre) => Float64Array.from(centre)) };
  return { rows, parts, rule };
}

type Proposed = { rows: Point[]; parts: Parts; rule: Rule };

/** The shares of the proposals, each of one cluster; and the number of rounds. */
async function sharesOf(proposals: (Proposed | null)[], others: Point[] = [[0, 0]]) {
  const own = proposals.map((of) => of?.rows ?? others);
  const means = meansOf({ rows: own.flat(), z: own.flatMap((rows, k) => rows.map(() => k)) });
  const chosen = new Map(proposals.flatMap((of, k) => (of ? [[k, of] as const] : [])));
  const shares = await valleyShares(means, plane, chosen, proposals.length);
  assert.deepEqual([...shares.keys()], [...chosen.keys()]);
  return { shares: [...shares.values()], rounds: means.rounds.calls.cellHistograms };
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

/** Cluster 0 is two blobs of 300 and 100 rows, cluster 1 a single one of 400, cluster 2 is empty; sub-nets halve them at random. */
function sceneOf(covariance: Covariance, schedule: Parameters<typeof scene>[1] = {}) {
  const far = 60;
  const centres = [[0, 0], [0, 0], [0, 0], [7, 0], ...Array.from({ length: 4 }, () => [far, far])];
  const { rows, blob } = blobs(5, centres, 100);
  const { below } = randomNumbers(9);
  const z = blob.map((b) => Number(b >= 4));
  const own = scene({ rows, z, side: rows.map(() => below(2)), covariance }, { k: 3, ...schedule });
  const T = [0, 1, 2].map((k) =>
    statisticsOf(
      rows.filter((_, i) => z[i] === k),
      covariance,
      2,
    ),
  );
  return { ...own, T };
}

const splitsOf = async ({ run, state, T }: Scene & { T: Float64Array[] }) => {
  // As if ten times as many rows had been labelled as are in the sample.
  const all = T.map((t) => scaleStatistics(t, 10));
  const proposals = await finalHalves(run, state, all);
  assert.equal(proposals.length, 3);
  const halves = evidenceHalves(state.prior, all.slice(0, 2), proposals, run.config.alpha);
  return nextSplits([4000, 4000], halves, 'falling');
};

describe('halves at the end of a run', () => {
  for (const covariance of ['full', 'diag'] as const)
    test(`find that a cluster is two, whatever its sub-net says (${covariance})`, async () => {
      const own = sceneOf(covariance);
      const [first, second] = await splitsOf(own);
      assert.deepEqual([first.cluster, first.sizes], [0, [3000, 1000]]);
      assert.ok(first.height > 0 && !(second?.height > 0));
    });

  test('are the sub-clusters alone where clusters are too flat for others', async () => {
    const own = sceneOf('full');
    const flat = { ...own.state, prior: { ...own.state.prior, psi: Float64Array.of(0, 0, 0, 0) } };
    const T = own.T.map(([n]) => Float64Array.of(n, n, 0, n, 0, 0));
    assert.deepEqual(
      await finalHalves(own.run, flat, T),
      own.state.parts.map((pair) => [pair]),
    );
  });
});
