import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applySplits, byEvidence, splitStep } from '../../../../coordinator/fit/gaussian/split.ts';
import { logSplitRatio } from '../../../../model/gaussian/hastings.ts';
import { pointEstimate } from '../../../../model/gaussian/niw.ts';
import type { Step } from '../../../../model/schedule.ts';
import type { Parts, State } from '../../../../model/state.ts';
import type { Covariance } from '../../../../model/statistics.ts';
import type { RunEvent } from '../../../../run/events.ts';
import {
  assertClose,
  assertUnit,
  blobs,
  nearestOf,
  ofLabel,
  type Point,
  pairs,
  randomNumbers,
  type Scene,
  scene,
  statisticsOf,
  where,
} from '../support.ts';

type Proposal = Extract<RunEvent, { type: 'split' | 'merge' }>;
const splits = (events: RunEvent[]) => events.filter((event): event is Proposal => event.type === 'split');
/** A random sub-net side for each row. */
const anySide = (rows: Point[], seed = 1) => {
  const { below } = randomNumbers(seed);
  return rows.map(() => below(2));
};
/** All rows in one cluster. */
const single = (rows: Point[], options: Parameters<typeof scene>[1]) =>
  scene({ rows, z: rows.map(() => 0), side: anySide(rows) }, options);
/** Two steps that changed nothing: further proposals are due if no cluster is split in two. */
const quiet = (k: number): Step[] => [
  { kind: 'split', changed: 0, k, progress: null },
  { kind: 'merge', changed: 0, k, progress: null },
];
/** Two splits that merges undid: further proposals are due in any case. */
const cycling = (k: number): Step[] =>
  (['split', 'merge', 'split', 'merge'] as const).map((kind) => ({
    ...{ kind, changed: 1, progress: null },
    k: kind === 'split' ? k + 1 : k,
  }));

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
  assertUnit(state, after, c, from, true, rows.length / whole);
}

/** Without further proposals, which a single cluster gets at once. */
const HALVES = { furtherProposals: false };

describe('splitStep', () => {
  for (const covariance of ['full', 'diag'] as Covariance[]) {
    test(`splits each cluster of two blobs, and leaves a cluster of one unchanged (${covariance})`, async () => {
      const { rows, blob } = blobs(1, pairs(0, 0, 0, 15, 300, 0, 600, 0, 615, 8), 60);
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
        assertCluster(before, after, c, ofLabel(rows, blob, b), z[blob.indexOf(b)]);
      }
      // The middle one changes only by rounding of its weight, and gets the refined sub-clusters.
      assert.equal(after.mixture.means[2], before.state.mixture.means[1]);
      assert.equal(after.mixture.covariances[2], before.state.mixture.covariances[1]);
      assertClose([after.mixture.weights[2]], [before.state.mixture.weights[1]], 1e-12);
      assertUnit(before.state, after, 2, 1, false);
      assert.equal(after.parts[2][0][0] + after.parts[2][1][0], 60);

      assertClose([after.mixture.weights.reduce((a, b) => a + b)], [1], 1e-12);
      assert.equal(after.frozen, 2);
      assert.deepEqual(after.steps, [{ kind: 'split', changed: 2, k: 5, progress: null }]);
      assert.deepEqual([after.untilStep, after.patience], [6, 24]);
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

  test('of all clusters, one split is one rule for all rows, whatever cluster they are of', async () => {
    const { rows, blob } = blobs(4, pairs(0, 0, 60, 0, 0, 60, 60, 60), 30);
    const z = rows.map((_, i) => i % 3);
    const { run, state } = scene({ rows, z, side: anySide(rows) });
    const parts = [0, 1, 2, 3].map((b) => statisticsOf(ofLabel(rows, blob, b), run.prior.covariance));
    const centres = parts.map((T) => T.slice(1, 3).map((sum) => sum / T[0]));
    const split = { nearest: [2, 0, 1, 1], parts, rule: { centres }, logRatio: 1 };
    const after = await applySplits(run, state, [split], false);
    assertClose(after.mixture.weights, [0.25, 0.25, 0.25, 0.25], 1e-12);
    for (const [c, T] of parts.entries()) {
      assert.deepEqual(after.mixture.means[c], pointEstimate(run.prior, T).mean);
      assertUnit(state, after, c, split.nearest[c], true, 0.25);
      assertClose(
        after.parts[c][0].map((value, p) => value + after.parts[c][1][p]),
        T,
        1e-9,
      );
    }
  });

  test('decides by log H of the refined, tempered parts', async () => {
    const { rows, blob } = blobs(2, pairs(0, 0, 100, 0), 50);
    const z = blob;
    const before = scene({ rows, z, side: anySide(rows) }, { zeta: 0.3 });
    const after = await splitStep(before.run, before.state);
    assert.equal(after.mixture, before.state.mixture, 'one blob each: nothing changes');
    assert.equal(after.net, before.state.net);
    assert.equal(after.frozen, 0);
    assert.deepEqual(after.steps, [{ kind: 'split', changed: 0, k: 2, progress: null }]);
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
    const { rows } = blobs(3, pairs(0, 0, 5, 0), 20);
    const z = rows.map(() => 0);
    const side = anySide(rows);
    let accepted = 0;
    let ratio = 0;
    const trials = 300;
    const decide = async (epoch: number) => {
      const { run, state, events } = scene({ rows, z, side }, { zeta: 0.5, epoch, schedule: HALVES });
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
    const { rows } = blobs(4, pairs(0, 0, 1000, 0), 30);
    const few = rows.slice(0, 35);
    const { run, state, events } = scene(
      {
        rows: few,
        z: few.map(() => 0),
        side: few.map((_, i) => Number(i >= 30)),
      },
      { schedule: HALVES },
    );
    const after = await splitStep(run, state);
    assert.equal(after.mixture.k, 1);
    const [event] = splits(events);
    assert.deepEqual(
      [...event.points].sort((a, b) => a - b),
      [5, 30],
    );
    assert.deepEqual([event.accepted, event.logRatio, event.reason], [false, null, 'too few points']);
  });

  test('with refine 0 takes the sub-net’s sides, regardless of where the rows are', async () => {
    // A cross of four blobs, whose sub-net separates one bar from the other, which no two centres could.
    const cross = pairs(-30, 0, 30, 0, 0, -30, 0, 30);
    const { rows, blob } = blobs(6, [...cross, [900, 0]], 40);
    const z = blob.map((b) => (b === 4 ? 1 : 0));
    const side = blob.map((b, i) => (b === 4 ? i % 2 : Number(b > 1)));
    const before = scene({ rows, z, side }, { schedule: { refine: 0, furtherProposals: false } });
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
    const { rows, blob } = blobs(7, pairs(0, 0, 9, 0), 40);
    const z = rows.map(() => 0);
    const before = scene(
      { rows, z, side: rows.map(() => 1) },
      { schedule: { refine: 0, furtherProposals: false } },
    );
    const sides = [0, 1].map((b) => statisticsOf(ofLabel(rows, blob, b)));
    const after = await splitStep(before.run, { ...before.state, parts: [sides] });
    assert.deepEqual(
      splits(before.events).map(({ points, accepted }) => [points, accepted]),
      [[[0, 80], false]],
    );
    assert.deepEqual(after.parts, [sides]);
  });
});

/** Judges proposals, which are in `proposed`, by `ratioOf`, or by their true log H. */
function watched({ run, state }: Scene, ratioOf?: (parts: Parts) => number) {
  const proposed: Parts[][] = [];
  const truly = byEvidence(run, state);
  const judge = (proposals: Parts[]) => {
    proposed.push(proposals);
    return ratioOf ? proposals.map(ratioOf) : truly(proposals);
  };
  return { judge, proposed };
}
const rowsIn = (parts: Parts) => parts.reduce((sum, [n]) => sum + n, 0);

describe('further proposals', () => {
  const grid: Point[] = [0, 1, 2, 3].flatMap((x) => [0, 1].map((y) => [20 * x, 20 * y]));
  // Evenly spaced: a half looks much like the whole, so two parts do not fit better; single blobs do.
  const row = (count: number) => Array.from({ length: count }, (_, i) => [20 * i, 7 * i]);
  const four = blobs(
    8,
    row(4).map(([x]) => [x, 0]),
    40,
  );
  const eight = blobs(8, row(8), 80, 0.5);

  for (const [name, { rows, blob }, parts, zeta] of [
    ['four', four, 4, 0.6],
    ['eight', eight, 8, 1],
  ] as const) {
    const z = rows.map(() => 0);
    const sceneOf = (steps: Step[]) => scene({ rows, z, side: anySide(rows) }, { steps, zeta, epoch: 18 });

    test(`find the ${name} parts of a row of blobs that is not split in two`, async () => {
      const before = sceneOf(quiet(1));
      const { judge, proposed } = watched(before);
      const after = await splitStep(before.run, before.state, judge);
      assert.ok(Math.max(...proposed[1].map(({ length }) => length)) > 4, 'more parts are tried');
      const [pair, best, ...more] = splits(before.events);
      assert.ok(!pair.accepted && pair.logRatio! < 0, `log H in two is ${pair.logRatio}`);
      assert.deepEqual(more, [], 'only the best of the others is reported');
      assert.equal(best.points.length, parts);
      assert.equal(best.accepted, true);

      assert.equal(after.mixture.k, parts);
      assert.equal(
        before.rounds.calls.cellSums,
        6 + 5 + 5,
        'of sub-clusters, of principal halves, of more parts',
      );
      const blobOf = after.mixture.means.map((m) => blob[nearestOf(m, rows)]);
      assert.deepEqual([...blobOf].sort(), [...Array(parts).keys()]);
      for (const [c, b] of blobOf.entries()) assertCluster(before, after, c, ofLabel(rows, blob, b), 0);
      assert.deepEqual(after.steps.at(-1), {
        ...{ kind: 'split', changed: parts - 1, k: parts, progress: null, exhaustive: true },
      });
      const T = blobOf.map((b) => statisticsOf(ofLabel(rows, blob, b)));
      assertClose([best.logRatio!], [logSplitRatio(before.run.prior, T, 10, zeta)], 1e-9);
    });

    test(`are not tried for one of several clusters, of ${name} parts, unless the run has stalled`, async () => {
      const other = blobs(9, [[9000, 0]], 100, 2);
      const all = [...rows, ...other.rows];
      const own = all.map((_, i) => Number(i >= rows.length));
      const events = async (steps: Step[]) => {
        const before = scene({ rows: all, z: own, side: anySide(all) }, { steps, zeta, epoch: 18 });
        await splitStep(before.run, before.state);
        return splits(before.events).map(({ clusters }) => clusters[0]);
      };
      for (const steps of [
        [],
        [{ kind: 'merge' as const, changed: 1, k: 2, progress: null }],
        [...quiet(2), { kind: 'split' as const, changed: 1, k: 2, progress: null }],
      ])
        assert.deepEqual(await events(steps), [0, 1], 'only sub-clusters');
      assert.deepEqual(await events(quiet(2)), [0, 1, 0, 1]);
    });
  }

  test('drop parts of a few outliers, whose rows go to the nearest other part', async () => {
    const { rows: near, blob } = blobs(10, grid, 40, 2);
    const rows = [...near, [9000, 9000], [9001, 9000], [9000, 9001]];
    const z = rows.map(() => 0);
    const before = scene({ rows, z, side: z }, { steps: quiet(1), epoch: 18 });
    const { judge, proposed } = watched(before);
    const after = await splitStep(before.run, before.state, judge);
    const [pair] = splits(before.events);
    assert.deepEqual([...pair.points].sort(), [3, 320], 'a split in two only separates the outliers');
    assert.ok(after.mixture.k > 2, `${after.mixture.k} clusters`);
    const several = proposed[1].filter(({ length }) => length > 2);
    assert.ok(several.length > 0, 'more than two parts are proposed');
    for (const parts of several) {
      assert.equal(rowsIn(parts), 323, 'no row is left out');
      assert.ok(Math.min(...parts.map(([n]) => n)) > 5, `${parts.map(([n]) => n)}`);
    }
    assert.ok(new Set(after.mixture.means.map((m) => blob[nearestOf(m, near)])).size > 2, 'several blobs');
  });

  test('are only for clusters that were not split in two', async () => {
    const two = blobs(9, pairs(5000, 0, 5000, 900), 160, 2);
    const rows = [...four.rows, ...two.rows];
    const z = rows.map((_, i) => Number(i >= four.rows.length));
    const before = scene({ rows, z, side: anySide(rows) }, { steps: cycling(2), zeta: 0.6, epoch: 18 });
    const { judge, proposed } = watched(before);
    await splitStep(before.run, before.state, judge);
    const of = (k: number) => splits(before.events).filter(({ clusters }) => clusters[0] === k);
    assert.deepEqual(
      of(1).map(({ points, accepted }) => [points.length, accepted]),
      [[2, true]],
    );
    assert.equal(of(0).length, 2);
    assert.ok(proposed[1].length > 2 && proposed[1].every((parts) => rowsIn(parts) === 160), 'cluster 0');
  });

  for (const [what, deep, above] of [
    ['halves are accepted if their log H is above 0', false, 1],
    ['halves of a log H below 0 are refused', false, -1],
    ['several parts are accepted if their log H is above 0', true, 1],
    ['several parts of a log H below 0 are refused', true, -1],
  ] as const)
    test(what, async () => {
      const { rows } = blobs(8, grid, 40, 0.5);
      const zeta = 0.2;
      const before = single(rows, { steps: quiet(1), zeta, epoch: 18 });
      let calls = 0;
      const { judge } = watched(before, (parts) =>
        calls++ === 0 || parts.length > 2 !== deep ? Number.NEGATIVE_INFINITY : above,
      );
      const after = await splitStep(before.run, before.state, judge);
      const [pair, best] = splits(before.events);
      assert.equal(pair.accepted, false);
      assert.deepEqual([best.points.length > 2, best.accepted, best.reason], [deep, above > 0, undefined]);
      assert.equal(after.mixture.k, above > 0 ? best.points.length : 1);
    });

  test('leave heavy tails whole, though log H is large: there is no valley', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { normal } = randomNumbers(seed);
      const rows = Array.from({ length: 2000 }, () => {
        const scale = Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3);
        return [normal() / scale, normal() / scale];
      });
      const before = single(rows, { learned: true });
      const after = await splitStep(before.run, before.state);
      const [, best] = splits(before.events);
      assert.deepEqual(
        [after.mixture.k, best.accepted, best.reason],
        [1, false, 'no valley'],
        `seed ${seed}`,
      );
      assert.ok(best.logRatio! > 100, `log H is ${best.logRatio}`);
    }
  });

  /** Two blobs; a pair of parts separates them, with this log H, and more parts halve them, with log H 50. */
  const twoBlobs = (ofPair: number, ofMore = 50) => {
    const { rows } = blobs(16, pairs(0, 0, 12, 0), 200);
    const before = single(rows, { epoch: 18, schedule: { depths: [2] } });
    let calls = 0;
    const { judge } = watched(before, (parts) =>
      calls++ === 0 ? Number.NEGATIVE_INFINITY : parts.length > 2 ? ofMore : ofPair,
    );
    return { ...before, judge };
  };

  test('that separate parts by valleys are taken, though others have a larger log H', async () => {
    const { run, state, events, judge } = twoBlobs(40);
    const after = await splitStep(run, state, judge);
    const [, taken, ...more] = splits(events);
    assert.deepEqual([taken.points, taken.logRatio, taken.accepted], [[200, 200], 40, true]);
    assert.deepEqual([after.mixture.k, more, taken.reason], [2, [], undefined]);
  });

  test('need no valley if they gain half a nat a row', async () => {
    for (const [ofMore, accepted] of [
      [200, true],
      [199.9, false],
    ] as const) {
      const { run, state, events, judge } = twoBlobs(-1, ofMore);
      const after = await splitStep(run, state, judge);
      const [, best] = splits(events);
      assert.deepEqual([after.mixture.k > 2, best.accepted], [accepted, accepted]);
    }
  });

  test('of every depth are tried while all parts together are at most 1,024', async () => {
    const depthsOf = async (clusters: number) => {
      const centres = Array.from({ length: clusters }, (_, i) => [500 * i, 0]);
      const { rows, blob } = blobs(17, centres, 640);
      const before = scene({ rows, z: blob, side: anySide(rows) }, { steps: quiet(clusters), epoch: 18 });
      const { judge, proposed } = watched(before, () => Number.NEGATIVE_INFINITY);
      await splitStep(before.run, before.state, judge);
      return Math.max(...proposed[1].map(({ length }) => length));
    };
    const [all, fewer] = [await depthsOf(2), await depthsOf(17)];
    assert.ok(all > 32 && all <= 64, `${all} parts of each of two clusters`);
    assert.ok(fewer > 16 && fewer <= 32, `${fewer} parts of each of 17`);
  });

  const stripes = (seed: number, count: number) => {
    const { normal } = randomNumbers(seed);
    return Array.from({ length: count }, (_, i) => [1000 * normal(), normal() + (i % 2 ? 8 : 0)]);
  };

  for (const learned of [false, true])
    test(`find an ill-scaled pair of stripes (${learned ? 'learned' : 'fixed'} prior)`, async () => {
      const rows = stripes(13, 400);
      const before = single(rows, { learned });
      const after = await splitStep(before.run, before.state);
      const [pair, best] = splits(before.events);
      assert.equal(pair.accepted, false, 'two-means halves the stripes');
      assert.deepEqual([best.accepted, after.mixture.k], [true, 2]);
      const found = [0, 1].map((c) => after.parts[c].reduce((sum, T) => sum + T[0], 0));
      assert.deepEqual(found, [200, 200]);
      const [a, b] = after.mixture.means.map((m) => m[1]);
      assertClose([Math.abs(a - b)], [8], 0.05);
    });

  test('with a learned prior, sub-clusters are refined in its metric once there are several clusters', async () => {
    const rows = [...stripes(14, 400), ...stripes(15, 400).map(([x, y]) => [x, y / 8 + 500])];
    const z = rows.map((_, i) => Number(i >= 400));
    const before = scene({ rows, z, side: anySide(rows) }, { learned: true });
    const after = await splitStep(before.run, {
      ...before.state,
      prior: { ...before.state.prior, psi: Float64Array.of(1e6, 0, 0, 1) },
    });
    assert.equal(after.mixture.k, 3);
    assert.deepEqual(
      splits(before.events).map(({ clusters, accepted }) => [...clusters, accepted]),
      [
        [0, true],
        [1, false],
      ],
    );
  });

  test('leave uniform data whole', async () => {
    for (const learned of [false, true])
      for (let seed = 1; seed <= 5; seed++) {
        const { uniform } = randomNumbers(seed);
        const rows = Array.from({ length: 400 }, () => [uniform(), uniform()]);
        const before = single(rows, { learned });
        const after = await splitStep(before.run, before.state);
        assert.equal(after.mixture.k, 1, `seed ${seed}`);
        assert.equal(splits(before.events).length, 2);
      }
  });

  test('need ten rows per part', async () => {
    const rows = where(eight.rows, (i) => i % 80 < 9); // 72
    const others = blobs(11, [[9000, 9000]], 300).rows;
    const all = [...rows, ...others];
    const z = all.map((_, i) => Number(i >= rows.length));
    const before = scene({ rows: all, z, side: anySide(all) }, { steps: quiet(2), zeta: 0.3, epoch: 18 });
    const { judge, proposed } = watched(before);
    await splitStep(before.run, before.state, judge);
    const most = (n: number) =>
      Math.max(...proposed[1].filter((parts) => rowsIn(parts) === n).map(({ length }) => length));
    assert.equal(most(72), 4, '72 rows are enough for 4 parts, not for 8');
    assert.ok(most(300) > 8 && most(300) <= 16, `300 rows: ${most(300)}`);
  });
});
