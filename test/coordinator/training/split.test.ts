import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { splitStep } from '../../../coordinator/training/split.ts';
import { logSplitRatio } from '../../../model/hastings.ts';
import { pointEstimate } from '../../../model/niw.ts';
import type { Step } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import type { Covariance } from '../../../model/statistics.ts';
import type { RunEvent } from '../../../view/events.ts';
import {
  assertClose,
  assertUnit,
  blobs,
  nearestOf,
  type Point,
  randomNumbers,
  scene,
  statisticsOf,
} from '../support.ts';

const where = <T>(items: T[], wanted: (i: number) => boolean) => items.filter((_, i) => wanted(i));
type Proposal = Extract<RunEvent, { type: 'split' | 'merge' }>;
const splits = (events: RunEvent[]) => events.filter((event): event is Proposal => event.type === 'split');
/** A random sub-net side for each row. */
const anySide = (rows: Point[], seed = 1) => {
  const { below } = randomNumbers(seed);
  return rows.map(() => below(2));
};
/** Two steps that changed nothing: deep proposals are due. */
const quiet = (k: number): Step[] => [
  { kind: 'split', changed: 0, k },
  { kind: 'merge', changed: 0, k },
];

/** Asserts that the new cluster c has exactly these rows, from a cluster with `n` rows and weight `weight`. */
function assertCluster(
  { run, state }: ReturnType<typeof scene>,
  after: State,
  c: number,
  rows: Point[],
  from: number,
): void {
  const { mixture, parts } = after;
  const { covariance } = run.prior;
  const T = statisticsOf(rows, covariance);
  const whole = state.parts[from].reduce((sum, t) => sum + t[0], 0);
  const fit = pointEstimate(run.prior, T);
  assertClose(mixture.means[c], fit.mean, 1e-9);
  assertClose(mixture.covariances[c], fit.covariance, 1e-9);
  assertClose([mixture.weights[c]], [(state.mixture.weights[from] * rows.length) / whole], 1e-12);
  assertClose(
    parts[c][0].map((value, p) => value + parts[c][1][p]),
    T,
    1e-9,
  );
  assertUnit(state, after, c, from, true);
}

describe('splitStep', () => {
  for (const covariance of ['full', 'diag'] as Covariance[]) {
    test(`splits each cluster of two blobs, and leaves a cluster of one unchanged (${covariance})`, async () => {
      const { rows, blob } = blobs(
        1,
        [
          [0, 0],
          [0, 15],
          [300, 0],
          [600, 0],
          [615, 8],
        ],
        60,
      );
      const z = blob.map((b) => [0, 0, 1, 2, 2][b]);
      const before = scene({ rows, z, side: anySide(rows), covariance });
      const after = await splitStep(before.run, before.state);
      assert.equal(after.mixture.k, 5);
      const blobOf = after.mixture.means.map((m) => blob[nearestOf(m, rows)]);
      assert.deepEqual([...blobOf].sort(), [0, 1, 2, 3, 4]);
      assert.deepEqual(
        blobOf.map((b) => z[blob.indexOf(b)]),
        [0, 0, 1, 2, 2],
        'in the order of the old ones',
      );
      for (const [c, b] of blobOf.entries()) {
        if (b === 2) continue;
        assertCluster(
          before,
          after,
          c,
          where(rows, (i) => blob[i] === b),
          z[blob.indexOf(b)],
        );
      }
      // The middle one changes only by rounding of its weight, and gets the refined sub-clusters.
      assert.equal(after.mixture.means[2], before.state.mixture.means[1]);
      assert.equal(after.mixture.covariances[2], before.state.mixture.covariances[1]);
      assertClose([after.mixture.weights[2]], [before.state.mixture.weights[1]], 1e-12);
      assertUnit(before.state, after, 2, 1, false);
      assert.equal(after.parts[2][0][0] + after.parts[2][1][0], 60);

      assertClose([after.mixture.weights.reduce((a, b) => a + b)], [1], 1e-12);
      assert.equal(after.frozen, 2);
      assert.deepEqual(after.steps, [{ kind: 'split', changed: 2, k: 5 }]);
      const events = splits(before.events);
      assert.deepEqual(
        events.map(({ clusters, accepted }) => [...clusters, accepted]),
        [
          [0, true],
          [1, false],
          [2, true],
        ],
      );
      assert.deepEqual(events[0].points, [60, 60]);
    });
  }

  test('decides by log H of the refined, tempered parts', async () => {
    const { rows, blob } = blobs(
      2,
      [
        [0, 0],
        [100, 0],
      ],
      50,
    );
    const z = blob;
    const before = scene({ rows, z, side: anySide(rows) }, { zeta: 0.3 });
    const after = await splitStep(before.run, before.state);
    assert.equal(after.mixture, before.state.mixture, 'one blob each: nothing changes');
    assert.equal(after.net, before.state.net);
    assert.equal(after.frozen, 0);
    assert.deepEqual(after.steps, [{ kind: 'split', changed: 0, k: 2 }]);
    for (const k of [0, 1]) {
      const [event] = splits(before.events).filter(({ clusters }) => clusters[0] === k);
      const logRatio = logSplitRatio(before.run.prior, after.parts[k], 10, 0.3);
      assertClose([event.logRatio!], [logRatio], 1e-12);
      assert.deepEqual(
        event.points,
        after.parts[k].map((T) => T[0]),
      );
      assert.ok(logRatio < 0 && !event.accepted);
    }
  });

  test('accepts with probability H below 1, by a draw of (seed, epoch, cluster)', async () => {
    const { rows } = blobs(
      3,
      [
        [0, 0],
        [5, 0],
      ],
      20,
    );
    const z = rows.map(() => 0);
    const side = anySide(rows);
    let accepted = 0;
    let ratio = 0;
    const trials = 300;
    const decide = async (epoch: number) => {
      const { run, state, events } = scene({ rows, z, side }, { zeta: 0.5, epoch });
      await splitStep(run, state);
      return splits(events)[0];
    };
    for (let epoch = 1; epoch <= trials; epoch++) {
      const event = await decide(epoch);
      ratio = event.logRatio!;
      if (event.accepted) accepted++;
    }
    const p = Math.exp(ratio);
    assert.ok(p > 0.02 && p < 0.98, `log H is ${ratio}`);
    assert.ok(
      Math.abs(accepted / trials - p) < 4 * Math.sqrt((p * (1 - p)) / trials),
      `${accepted} of ${trials} at ${p}`,
    );
    assert.equal((await decide(5)).accepted, (await decide(5)).accepted);
  });

  test('does not propose parts of five rows or fewer', async () => {
    const { rows } = blobs(
      4,
      [
        [0, 0],
        [1000, 0],
      ],
      30,
    );
    const few = rows.slice(0, 35);
    const { run, state, events } = scene({
      rows: few,
      z: few.map(() => 0),
      side: few.map((_, i) => Number(i >= 30)),
    });
    const after = await splitStep(run, state);
    assert.equal(after.mixture.k, 1);
    const [event] = splits(events);
    assert.deepEqual(
      [...event.points].sort((a, b) => a - b),
      [5, 30],
    );
    assert.deepEqual([event.accepted, event.logRatio, event.reason], [false, null, 'too few points']);
  });

  test('skips an empty cluster', async () => {
    const { rows, blob } = blobs(
      5,
      [
        [0, 0],
        [0, 40],
      ],
      30,
    );
    const before = scene({ rows, z: blob.map(() => 1), side: anySide(rows) }, { k: 3 });
    const after = await splitStep(before.run, before.state);
    assert.equal(after.mixture.k, 4);
    assert.deepEqual(
      splits(before.events).map(({ accepted }) => accepted),
      [false, true, false],
    );
    assert.deepEqual(
      after.parts[0].map((T) => T[0]),
      [0, 0],
    );
  });

  test('with refine 0 takes the sub-net’s sides, regardless of where the rows are', async () => {
    // A cross of four blobs, whose sub-net separates one bar from the other, which no two centres could.
    const cross = [
      [-30, 0],
      [30, 0],
      [0, -30],
      [0, 30],
    ];
    const { rows, blob } = blobs(6, [...cross, [900, 0]], 40);
    const z = blob.map((b) => (b === 4 ? 1 : 0));
    const side = blob.map((b, i) => (b === 4 ? i % 2 : Number(b > 1)));
    const before = scene({ rows, z, side }, { schedule: { refine: 0, depths: [] } });
    const after = await splitStep(before.run, before.state);
    assert.equal(after.mixture.k, 3);
    assertCluster(
      before,
      after,
      0,
      where(rows, (i) => blob[i] < 2),
      0,
    );
    assertCluster(
      before,
      after,
      1,
      where(rows, (i) => blob[i] === 2 || blob[i] === 3),
      0,
    );
    assert.deepEqual(
      after.parts[0].map((T) => T[0]),
      [40, 40],
      'each bar is halved between its blobs',
    );
    assert.deepEqual(
      after.parts[2].map((T) => T[0]),
      [20, 20],
      'the other keeps the sub-net’s sides',
    );
    assert.deepEqual(before.published, ['subs', 'subs-moments']);
  });

  test('without refinement, a sub-net with all rows on one side keeps its previous targets', async () => {
    const { rows, blob } = blobs(
      7,
      [
        [0, 0],
        [9, 0],
      ],
      40,
    );
    const z = rows.map(() => 0);
    const before = scene({ rows, z, side: rows.map(() => 1) }, { schedule: { refine: 0, depths: [] } });
    const sides = [0, 1].map((b) => statisticsOf(where(rows, (i) => blob[i] === b)));
    const after = await splitStep(before.run, { ...before.state, parts: [sides] });
    assert.deepEqual(
      splits(before.events).map(({ points, accepted }) => [points, accepted]),
      [[[0, 80], false]],
    );
    assert.deepEqual(after.parts, [sides]);
  });
});

describe('deep proposals', () => {
  const grid: Point[] = [0, 1, 2, 3].flatMap((x) => [0, 1].map((y) => [20 * x, 20 * y]));
  // Evenly spaced: a half looks much like the whole, so two parts do not fit better; single blobs do.
  const row = (count: number) => Array.from({ length: count }, (_, i) => [20 * i, 7 * i]);
  const four = blobs(8, row(4), 40, 2);
  const eight = blobs(8, row(8), 40, 0.5);

  for (const [name, { rows, blob }, parts, zeta] of [
    ['four', four, 4, 0.5],
    ['eight', eight, 8, 1],
  ] as const) {
    const z = rows.map(() => 0);
    const sceneOf = (steps: Step[]) => scene({ rows, z, side: anySide(rows) }, { steps, zeta, epoch: 18 });

    test(`find the ${name} parts of a row of blobs that is not split in two`, async () => {
      const before = sceneOf(quiet(1));
      const after = await splitStep(before.run, before.state);
      const [pair, ...deep] = splits(before.events);
      assert.ok(!pair.accepted && pair.logRatio! < 0, `log H in two is ${pair.logRatio}`);
      assert.deepEqual(
        deep.map(({ points }) => points.length),
        [4, 8],
      );
      const best = deep.find(({ points }) => points.length === parts)!;
      assert.ok(best.accepted && best.logRatio! > 0);
      assert.ok(
        deep.every(({ logRatio }) => logRatio! <= best.logRatio!),
        'the best is accepted',
      );

      assert.equal(after.mixture.k, parts);
      assert.equal(before.rounds.calls.cellSums, 6 + 5, 'six rounds with two centres, five with more');
      const blobOf = after.mixture.means.map((m) => blob[nearestOf(m, rows)]);
      assert.deepEqual([...blobOf].sort(), [...Array(parts).keys()]);
      for (const [c, b] of blobOf.entries())
        assertCluster(
          before,
          after,
          c,
          where(rows, (i) => blob[i] === b),
          0,
        );
      assert.deepEqual(after.steps.at(-1), { kind: 'split', changed: parts - 1, k: parts });
      const T = blobOf.map((b) => statisticsOf(where(rows, (i) => blob[i] === b)));
      assertClose([best.logRatio!], [logSplitRatio(before.run.prior, T, 10, zeta)], 1e-9);
    });

    test(`are not tried for ${name} parts unless the last two steps changed nothing`, async () => {
      for (const steps of [
        [],
        quiet(1).slice(1),
        [...quiet(1), { kind: 'split' as const, changed: 1, k: 1 }],
      ]) {
        const before = sceneOf(steps);
        const after = await splitStep(before.run, before.state);
        assert.equal(after.mixture.k, 1);
        assert.equal(splits(before.events).length, 1);
      }
    });
  }

  test('drop parts of a few outliers, whose rows go to the nearest other part', async () => {
    const { rows: near, blob } = blobs(10, grid, 40, 2);
    const rows = [...near, [9000, 9000], [9001, 9000], [9000, 9001]];
    const z = rows.map(() => 0);
    const before = scene({ rows, z, side: z }, { steps: quiet(1), epoch: 18 });
    const after = await splitStep(before.run, before.state);
    const [pair, ...deep] = splits(before.events);
    assert.deepEqual([...pair.points].sort(), [3, 320], 'a split in two only separates the outliers');
    assert.ok(deep.some(({ accepted }) => accepted) && after.mixture.k > 2);
    for (const { points } of deep) {
      assert.equal(
        points.reduce((a, b) => a + b),
        323,
        'no row is left out',
      );
      assert.ok(Math.min(...points) > 5, `${points}`);
    }
    assert.ok(new Set(after.mixture.means.map((m) => blob[nearestOf(m, near)])).size > 2);
  });

  test('are only for clusters that were not split in two', async () => {
    const two = blobs(
      9,
      [
        [5000, 0],
        [5000, 900],
      ],
      160,
      2,
    );
    const rows = [...four.rows, ...two.rows];
    const z = rows.map((_, i) => Number(i >= four.rows.length));
    const before = scene({ rows, z, side: anySide(rows) }, { steps: quiet(2), zeta: 0.5, epoch: 18 });
    await splitStep(before.run, before.state);
    const of = (k: number) => splits(before.events).filter(({ clusters }) => clusters[0] === k);
    assert.deepEqual(
      of(1).map(({ points, accepted }) => [points.length, accepted]),
      [[2, true]],
    );
    assert.deepEqual(
      of(0).map(({ points }) => points.length),
      [2, 4, 8],
    );
  });

  test('report which of two acceptable ones is accepted', async () => {
    const { rows } = blobs(8, grid, 40, 0.5);
    const before = scene(
      { rows, z: rows.map(() => 0), side: anySide(rows) },
      { steps: quiet(1), zeta: 0.2, epoch: 18 },
    );
    const after = await splitStep(before.run, before.state);
    const deep = splits(before.events).filter(({ points }) => points.length > 2);
    assert.ok(deep.length === 2 && deep.every(({ logRatio }) => logRatio! > 0));
    assert.equal(after.mixture.k, 4);
    assert.deepEqual(
      deep.map(({ points, accepted }) => [points.length, accepted]),
      [
        [4, true],
        [8, false],
      ],
    );
  });

  test('do not split a single blob', async () => {
    const { rows } = blobs(10, [[0, 0]], 300);
    const before = scene({ rows, z: rows.map(() => 0), side: anySide(rows) }, { steps: quiet(1), epoch: 18 });
    const after = await splitStep(before.run, before.state);
    assert.equal(after.mixture, before.state.mixture);
    assert.ok(splits(before.events).length > 1);
    assert.ok(splits(before.events).every(({ accepted }) => !accepted));
  });

  test('need ten rows per part', async () => {
    const rows = where(eight.rows, (i) => i % 40 < 9); // 72
    const others = blobs(11, [[9000, 9000]], 300).rows;
    const all = [...rows, ...others];
    const z = all.map((_, i) => Number(i >= rows.length));
    const before = scene({ rows: all, z, side: anySide(all) }, { steps: quiet(2), zeta: 0.3, epoch: 18 });
    await splitStep(before.run, before.state);
    const tried = splits(before.events).filter(({ clusters }) => clusters[0] === 0);
    assert.deepEqual(
      tried.map(({ points }) => points.length),
      [2, 4],
      '72 rows are enough for 4 parts, not for 8',
    );
  });

  test('are tried even if no cluster has enough rows for eight parts', async () => {
    const { rows } = blobs(12, [[0, 0]], 60);
    const before = scene({ rows, z: rows.map(() => 0), side: anySide(rows) }, { steps: quiet(1), epoch: 18 });
    await splitStep(before.run, before.state);
    assert.deepEqual(
      splits(before.events).map(({ points }) => points.length),
      [2, 4],
    );
  });
});
