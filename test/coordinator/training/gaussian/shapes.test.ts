import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { discriminants, partsBy, shapeHalves } from '../../../../coordinator/training/gaussian/shapes.ts';
import type { Proposal } from '../../../../coordinator/training/gaussian/sub-clusters.ts';
import { niwPrior } from '../../../../model/niw.ts';
import { discriminantRule } from '../../../../model/splits/linear-rule.ts';
import type { Parts } from '../../../../model/state.ts';
import {
  assertClose,
  calculate,
  memoryRounds,
  type Point,
  randomNumbers,
  statisticsOf,
} from '../../support.ts';

const where = <T>(items: T[], wanted: (i: number) => boolean) => items.filter((_, i) => wanted(i));
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
const T = [0, 1, 2].map((k) => statisticsOf(where(rows, (i) => z[i] === k)));
const run = () => ({ rounds: memoryRounds({ rows, z }), calculate });

/** The parts of halves by shape. */
async function halveByShape(...[own, prior, chosen, T]: Parameters<typeof shapeHalves>): Promise<Proposal> {
  const { rules } = await shapeHalves(own, prior, chosen, T);
  return { rules, parts: await partsBy(own.rounds, rules, T, prior.d) };
}

const counts = ({ parts }: Proposal) => parts.map((own) => own.map(([n]) => n).sort((a, b) => a - b));

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
      { rounds: memoryRounds({ rows: scaled, z }), calculate },
      niwPrior({ ...prior, psi }),
      [true, true, true],
      [0, 1, 2].map((k) => statisticsOf(where(scaled, (i) => z[i] === k))),
    );
    assert.deepEqual(counts(there), counts(await halveByShape(run(), prior, [true, true, true], T)));
  });

  test('are none of a cluster with too few rows', async () => {
    const few = [0, 1, 2, 3].map((i): Point => [i, -i, i * i]);
    const all = { rows: [...rows, ...few], z: [...z, 3, 3, 3, 3] };
    const proposal = await halveByShape(
      { rounds: memoryRounds(all), calculate },
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
  const tilted: Proposal['rules'][0] = {
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
    const start: Proposal = { rules: [tilted, null, null], parts: [partsBy(tilted, 0), [], []] };
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

  test('are none where only one part has rows', async () => {
    const none = statisticsOf([], 'full', 3);
    const start: Proposal = { rules: [tilted, null, null], parts: [[T[0], none], [], []] };
    const found = await discriminants(run(), prior, T, start);
    assert.deepEqual([found.rules[0], found.parts[0]], [null, []]);
  });
});
