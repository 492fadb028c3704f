import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  estimateSubClusters,
  halveRepeatedly,
  isSubMStepDue,
  principalHalves,
  type Rule,
  refineSubClusters,
} from '../../../../coordinator/fit/gaussian/sub-clusters.ts';
import { pcaSplit } from '../../../../coordinator/fit/halves.ts';
import type { TrainingRun } from '../../../../coordinator/fit/run-context.ts';
import { concat } from '../../../../model/arrays.ts';
import { whitener } from '../../../../model/linalg.ts';
import { fastSchedule, paperSchedule } from '../../../../model/schedule.ts';
import type { State } from '../../../../model/state.ts';
import { type Covariance, shift } from '../../../../model/statistics.ts';
import type { Partition } from '../../../../tasks/cells/ask.ts';
import {
  assertAllClose,
  assertClose,
  blobs,
  meanOf,
  meansOf,
  nearestOf,
  ofLabel,
  type Point,
  pairs,
  randomNumbers,
  squares,
  statisticsOf,
  where,
} from '../support.ts';

const netLeaves = (k: number): Partition => ({ groups: 'net', cells: [...Array(k).keys()], leaves: k });
/** The centres of a rule by the nearest centre. */
const centresOfRule = (rule: Rule | null) => {
  assert.ok(rule && 'centres' in rule);
  return rule.centres;
};
/** Two parts, the one with the smaller first coordinate first. */
const ordered = ([a, b]: Float64Array[]) => (a[1] / a[0] <= b[1] / b[0] ? [a, b] : [b, a]);

describe('pcaSplit', () => {
  for (const covariance of ['full', 'diag'] as Covariance[]) {
    test(`separates the two blobs of each leaf exactly (${covariance})`, async () => {
      const { rows, blob } = blobs(1, pairs(0, 0, 20, 3, 100, 100, 100, 130), 30);
      const z = blob.map((b) => b >> 1);
      const T = [0, 1].map((k) => statisticsOf(ofLabel(rows, z, k), covariance));
      const result = await pcaSplit(meansOf({ rows, z, covariance }), netLeaves(2), [], T);
      const expected = [0, 1, 2, 3].map((b) => statisticsOf(ofLabel(rows, blob, b), covariance));
      assertAllClose(ordered(result[0]), expected.slice(0, 2), 1e-12);
      const [low, high] = result[1].sort((a, b) => a[2] / a[0] - b[2] / b[0]);
      assertClose(
        [...low, ...high],
        expected.slice(2).flatMap((t) => [...t]),
        1e-12,
      );
    });
  }

  test('keeps all rows on one side if a leaf cannot be halved: few rows, equal rows, no rows', async () => {
    const few: Point[] = pairs(0, 0, 9, 9, 0, 9, 9, 0);
    const equal = Array.from({ length: 10 }, () => [5, 5]);
    const { rows: two } = blobs(2, pairs(50, 0, 90, 0), 10);
    const rows = [...few, ...equal, ...two];
    const z = rows.map((_, i) => (i < 4 ? 0 : i < 14 ? 1 : 3));
    const T = [0, 1, 2, 3].map((k) => statisticsOf(ofLabel(rows, z, k), 'full', 2));
    const result = await pcaSplit(meansOf({ rows, z }), netLeaves(4), [], T);
    assert.deepEqual(
      result.map(([a, b]) => [a[0], b[0]]),
      pairs(4, 0, 10, 0, 0, 0, 10, 10),
    );
    assertClose(result[0][0], T[0], 1e-12);
  });

  test('halves the leaves of any partition, and ignores rows in no leaf', async () => {
    const { rows, blob } = blobs(3, pairs(0, 0, 10, 0, 0, 50, 10, 50, 500, 500), 20);
    const z = blob.map((b) => (b === 4 ? 1 : 0));
    const vectors = [Float64Array.of(5, 0), Float64Array.of(5, 50)];
    const partition: Partition = { groups: 'net', cells: [{ near: [0, 1], into: [1, 0] }, -1], leaves: 2 };
    const own = pairs(2, 3, 0, 1).map((pair) => where(rows, (i) => pair.includes(blob[i])));
    const result = await pcaSplit(
      meansOf({ rows, z }),
      partition,
      vectors,
      own.map((part) => statisticsOf(part)),
    );
    const expected = [2, 3, 0, 1].map((b) => statisticsOf(ofLabel(rows, blob, b)));
    assertAllClose(
      result.flatMap((pair) => ordered(pair)),
      expected,
      1e-12,
    );
  });
});

describe('refineSubClusters', () => {
  /** 2-means of one cluster's rows from the given sides, as in docs/algorithm.md: `count` times centres, then sides. */
  function byHand(rows: Point[], side: number[], fallback: ArrayLike<number>[], count: number) {
    let sides = side;
    let centres = fallback.map((centre) => Array.from(centre));
    for (let i = 0; i < count; i++) {
      const parts = [0, 1].map((j) => where(rows, (r) => sides[r] === j));
      // A sub-net that puts all rows on one side cannot be a start.
      if (i > 0 || parts.every((part) => part.length))
        centres = parts.map((part, j) => (part.length ? meanOf(part) : centres[j]));
      sides = rows.map((row) => nearestOf(row, centres));
    }
    return {
      centres,
      parts: [0, 1].map((j) =>
        statisticsOf(
          where(rows, (r) => sides[r] === j),
          'full',
          2,
        ),
      ),
    };
  }

  test('runs 2-means in each cluster, started from the sub-net', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const { below } = randomNumbers(seed);
      const { rows, blob } = blobs(seed, pairs(0, 0, 3, 1, 9, 9, 7, 9), 25);
      const z = blob.map((b) => b >> 1);
      const side = rows.map(() => below(2));
      const fallback = [0, 1].map(() => [Float64Array.of(0, 0), Float64Array.of(1, 1)]);
      const count = 1 + below(6);
      const means = meansOf({ rows, z, side });
      const result = await refineSubClusters(means, count, fallback);
      for (const k of [0, 1]) {
        const mine = (i: number) => z[i] === k;
        const expected = byHand(where(rows, mine), where(side, mine), fallback[k], count);
        assertClose(
          centresOfRule(result.rules[k]).flatMap((c) => [...c]),
          expected.centres.flat(),
          1e-12,
        );
        assertAllClose(result.parts[k], expected.parts, 1e-12);
      }
      assert.deepEqual(means.rounds.calls, {
        ...{ cellSums: count, cellStatistics: 1 },
        ...{ cellHistograms: 0, cellFourthMoments: 0 },
      });
    }
  });

  test('starts from the fallback centres if the sub-net puts all rows on one side, or there are no rows', async () => {
    const { rows, blob } = blobs(5, pairs(0, 0, 9, 0), 20);
    const z = rows.map(() => 0);
    const fallback = [
      [Float64Array.of(1, 0), Float64Array.of(7, 0)],
      [Float64Array.of(3, 3), Float64Array.of(3, 3)],
    ];
    const { rules, parts } = await refineSubClusters(
      meansOf({ rows, z, side: rows.map(() => 1) }),
      1,
      fallback,
    );
    const expected = [0, 1].map((b) => statisticsOf(ofLabel(rows, blob, b)));
    assertAllClose(parts[0], expected, 1e-12);
    assert.deepEqual(rules.map(centresOfRule), fallback);
    assert.deepEqual(
      parts[1].map((t) => t[0]),
      [0, 0],
    );
  });

  test('restarts from a PCA split if the fallback centres put all rows on one side too', async () => {
    const { rows, blob } = blobs(11, pairs(0, 0, 9, 0, 100, 0, 100, 9), 20);
    const z = blob.map((b) => b >> 1);
    // The second cluster's sides come from the sub-net; the third has only 4 rows.
    const few = [0, 1, 2, 3].map((i) => [500 + i, 0]);
    const data = {
      rows: [...rows, ...few],
      z: [...z, 2, 2, 2, 2],
      side: [...blob.map((b) => (b < 2 ? 1 : b - 2)), 1, 1, 1, 1],
    };
    const fallback = [0, 1, 2].map(() => [Float64Array.of(1, 0), Float64Array.of(900, 0)]);
    const { rules, parts } = await refineSubClusters(meansOf(data), 6, fallback);
    for (const k of [0, 1]) {
      const expected = [2 * k, 2 * k + 1].map((own) => ofLabel(rows, blob, own));
      const byPlace = [0, 1].sort(
        (p, q) => parts[k][p][1] + parts[k][p][2] - parts[k][q][1] - parts[k][q][2],
      );
      assertClose(
        byPlace.flatMap((side) => [...parts[k][side]]),
        expected.flatMap((own) => [...statisticsOf(own)]),
        1e-12,
      );
      assertClose(
        byPlace.flatMap((side) => [...centresOfRule(rules[k])[side]]),
        expected.flatMap(meanOf),
        1e-12,
      );
    }
    assert.deepEqual(parts[2].map((T) => T[0]).sort(), [0, 4], 'too few to halve');
  });

  test('in a metric, measures distances by it', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const { below, normal } = randomNumbers(seed);
      const rows = Array.from({ length: 120 }, (_, i) => [100 * normal(), normal() + 4 * (i % 2)]);
      const side = rows.map(() => below(2));
      const metric = Float64Array.of(1e4, 3, 3, 1);
      const inverse = whitener(metric, 2, 'full');
      const whitened = (row: ArrayLike<number>) => [
        inverse[0] * row[0],
        inverse[2] * row[0] + inverse[3] * row[1],
      ];
      const fallback = [[Float64Array.of(0, 0), Float64Array.of(1, 1)]];
      const { rules, parts } = await refineSubClusters(
        meansOf({ rows, z: rows.map(() => 0), side }),
        4,
        fallback,
        metric,
      );
      const expected = byHand(rows.map(whitened), side, fallback[0].map(whitened), 4);
      assert.deepEqual(
        parts[0].map(([n]) => n),
        expected.parts.map(([n]) => n),
      );
      for (const [j, T] of parts[0].entries())
        assertClose(
          whitened([T[1] / T[0], T[2] / T[0]]),
          expected.parts[j].slice(1, 3).map((v) => v / T[0]),
          1e-9,
        );
      const [rule] = rules;
      assert.ok(rule && 'weights' in rule && rule.weights.length === 2);
    }
  });
});

describe('halveRepeatedly', () => {
  const square = pairs(0, 0, 0, 20, 50, 0, 50, 20);
  /** The nearest of the blobs' means to each centre, in order: 0, 1, 2, 3 if all are found once. */
  const blobsOf = (centres: ArrayLike<number>[], means: Point[]) =>
    centres.map((c) => nearestOf(c, means)).sort((a, b) => a - b);

  test('finds the two, four and eight parts of each chosen cluster', async () => {
    const eight = [0, 200].flatMap((x) => square.map((p) => [p[0] + x + 1000, p[1]]));
    const { rows, blob } = blobs(8, [...square, [-500, -500], ...eight], 20);
    const z = blob.map((b) => (b < 4 ? 0 : b === 4 ? 1 : 2));
    const T = [0, 1, 2].map((k) => statisticsOf(ofLabel(rows, z, k)));
    const means = [...Array(13).keys()].map((b) => meanOf(ofLabel(rows, blob, b)));
    const run = meansOf({ rows, z });
    const result = await halveRepeatedly(run, [true, false, true], T, 3);
    assert.equal(result.length, 3);
    assert.deepEqual(
      result.map((sets) => sets[1]),
      [[], [], []],
      'not chosen',
    );
    assert.deepEqual(
      result[0].map((set) => set.length),
      [2, 0, 2],
    );
    assert.deepEqual(blobsOf(result[1][0], means), [0, 1, 2, 3]);
    assert.deepEqual(result[1][2].length, 4);
    assert.deepEqual(blobsOf(result[2][2], means), [5, 6, 7, 8, 9, 10, 11, 12]);
    for (const centre of result[1][0]) assert.ok(squares(centre, means[nearestOf(centre, means)]) < 1e-18);
    assert.equal(run.rounds.calls.cellHistograms, 3, 'one round per level for all clusters');
  });

  test('continues with parts that can be halved, and keeps those that cannot', async () => {
    // One half has two blobs, the other only 4 rows: too few to be halved.
    const { rows: pair } = blobs(9, pairs(0, 0, 0, 30), 20);
    const { rows: few } = blobs(10, [[500, 0]], 4);
    const rows = [...pair, ...few];
    const T = [statisticsOf(rows)];
    const result = await halveRepeatedly(meansOf({ rows, z: rows.map(() => 0) }), [true], T, 2);
    assert.deepEqual(
      result.map(([set]) => set.length),
      [2, 3],
    );
    const expected = [meanOf(pair.slice(0, 20)), meanOf(pair.slice(20)), meanOf(few)];
    assert.deepEqual(blobsOf(result[1][0], expected), [0, 1, 2]);
  });
});

describe('principalHalves', () => {
  // Two stripes: long along the first axis, apart along the second.
  const { normal } = randomNumbers(21);
  const rows = Array.from({ length: 400 }, (_, i) => [1000 * normal(), normal() + (i % 2 ? 8 : 0)]);
  const all = { rows, z: rows.map(() => 0) };
  const halvesBy = (metric: Float64Array | null, covariance: Covariance) =>
    principalHalves(meansOf({ ...all, covariance }), [true], [statisticsOf(rows, covariance)], metric, 6);

  for (const covariance of ['full', 'diag'] as Covariance[])
    test(`finds stripes across their length in the metric of one of them, not without (${covariance})`, async () => {
      const metric = covariance === 'full' ? Float64Array.of(1e6, 0, 0, 1) : Float64Array.of(1e6, 1);
      const { rules, parts } = await halvesBy(metric, covariance);
      const stripes = [0, 1].map((stripe) =>
        statisticsOf(
          where(rows, (i) => i % 2 === stripe),
          covariance,
        ),
      );
      const [low, high] = parts[0].sort((a, b) => a[2] / a[0] - b[2] / b[0]);
      assertClose(low, stripes[0], 1e-9);
      assertClose(high, stripes[1], 1e-9);
      assert.equal(rules.length, 1);
      const without = (await halvesBy(null, covariance)).parts[0];
      assert.ok(Math.abs(without[0][1] / without[0][0] - without[1][1] / without[1][0]) > 1000);
    });
});

describe('sub-clusters by the soft assignments of sub-nets, of the paper', () => {
  const schedule = paperSchedule(30);
  const due = (epoch: number, frozen = 0) =>
    isSubMStepDue({ schedule, config: { freeze: 5 } } as TrainingRun, { epoch, frozen } as State);

  test('are estimated once the sub-nets have learned the first ones, and those of new clusters', () => {
    assert.deepEqual(
      [due(45), due(49), due(50), due(80, 5), due(80, 1), due(80)],
      [false, false, true, false, false, true],
    );
    const fast = { schedule: fastSchedule(6), config: { freeze: 2 } } as TrainingRun;
    assert.equal(isSubMStepDue(fast, { epoch: 80, frozen: 0 } as State), false);
  });

  test('about points near their means; those of a cluster with all rows on one side are halved', async () => {
    const t = (n: number, x: number) => Float64Array.of(n, n * x, n * (x * x + 1));
    const pairs = [
      [t(3, 1), t(5, -2)],
      [t(8, 4), t(2, 6)],
    ];
    const published: Record<string, Float64Array> = {};
    const cut: Partition[] = [];
    const run = {
      d: 1,
      config: { covariance: 'full' },
      dispatcher: {
        publish: (name: string, { rows }: Record<string, { data: Float64Array }>) => {
          published[name] = rows.data;
        },
      },
      rounds: {
        sum: async () => {
          const pivots = published['sub-pivots'];
          // About the pivots.
          const T = pairs.flat().map((own, i) => shift(own, 1, 'full', Float64Array.of(-pivots[i])));
          return [{ T: concat(T, Float64Array), counts: Float64Array.of(3, 5, 10, 0) }];
        },
        cellHistograms: async (partition: Partition, _: unknown, axes: unknown[], bins: number) => {
          cut.push(partition);
          return axes.map(() => Float64Array.from({ length: bins }, (_, i) => i % 2));
        },
        cellStatistics: async () => [[t(1, 0), t(1, 1), t(6, 4), t(4, 5)]],
      },
    } as unknown as TrainingRun;
    const state = {
      parts: pairs.map((pair) => pair.map((own) => own.map((value) => 2 * value))),
      mixture: { k: 2, d: 1, means: [Float64Array.of(0), Float64Array.of(0)] },
    } as unknown as State;
    const found = await estimateSubClusters(run, state);
    assert.deepEqual([...published['sub-pivots']], [1, -2, 4, 6]);
    assert.deepEqual([found[0], cut.length], [pairs[0], 1]);
    assert.deepEqual(found[1], [t(6, 4), t(4, 5)]);
  });
});
