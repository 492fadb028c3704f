import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  lloyd,
  type NearestRules,
  nearestByEuclid,
  nearestParts,
  partsOf,
  type Rules,
  ruleCell,
  statisticsByRules,
} from '../../../../coordinator/training/gaussian/sub-clusters.ts';
import { vectorTable } from '../../../../coordinator/training/halves.ts';
import { whitener } from '../../../../model/linalg.ts';
import { nearestRule } from '../../../../model/splits/linear-rule.ts';
import { assertClose, blobs, memoryRounds, nearestOf, type Point, statisticsOf } from '../../support.ts';

const meanOf = (rows: Point[]) =>
  rows[0].map((_, j) => rows.reduce((sum, row) => sum + row[j], 0) / rows.length);
const where = <T>(items: T[], wanted: (i: number) => boolean) => items.filter((_, i) => wanted(i));

describe('lloyd and nearestParts', () => {
  const { rows, blob } = blobs(
    7,
    [
      [0, 0],
      [6, 0],
      [0, 6],
      [40, 40],
      [46, 40],
    ],
    20,
  );
  const z = blob.map((b) => (b < 3 ? 0 : b < 5 ? 1 : 2));
  const inCluster = (k: number) => where(rows, (i) => z[i] === k);
  const points = (...all: Point[]) => all.map((point) => Float64Array.from(point));
  // Cluster 1 is left out of the first set, cluster 0 of the second; the last centre is nearest to no row.
  const sets = [
    [points([0, 1], [5, 1], [1, 4]), []],
    [[], points([41, 40], [44, 40], [900, 900])],
  ];

  test('move the centres within each cluster, several sets at once', async () => {
    const moved = await lloyd(memoryRounds({ rows, z }), sets, 4, nearestByEuclid);
    for (const [s, set] of sets.entries()) {
      for (const k of [0, 1]) {
        let centres = set[k].map((centre) => Array.from(centre));
        for (let round = 0; round < 4; round++) {
          const near = inCluster(k).map((row) => (centres.length ? nearestOf(row, centres) : -1));
          centres = centres.map((old, j) => {
            const own = where(inCluster(k), (i) => near[i] === j);
            return own.length ? meanOf(own) : old;
          });
        }
        assert.equal(moved[s][k].length, centres.length);
        assertClose(
          moved[s][k].flatMap((c) => [...c]),
          centres.flat(),
          1e-12,
        );
      }
    }
  });

  test('return the statistics of the rows nearest to each centre', async () => {
    const { rules, parts } = await nearestParts(memoryRounds({ rows, z }), sets, nearestByEuclid);
    assert.deepEqual(
      rules.map((set) => set.map((rule) => rule && partsOf(rule))),
      [
        [3, null],
        [null, 3],
      ],
    );
    for (const [s, set] of sets.entries()) {
      for (const k of [0, 1]) {
        const expected = set[k].map((_, j) =>
          statisticsOf(
            inCluster(k).filter((row) => nearestOf(row, set[k]) === j),
            'full',
            2,
          ),
        );
        assert.equal(parts[s][k].length, expected.length);
        assertClose(
          parts[s][k].flatMap((t) => [...t]),
          expected.flatMap((t) => [...t]),
          1e-12,
        );
      }
    }
  });

  test('leave the centres unchanged with 0 iterations', async () => {
    assert.equal(await lloyd(memoryRounds({ rows, z }), sets, 0, nearestByEuclid), sets);
  });

  test('in another metric, by its distances', async () => {
    const inverse = whitener(Float64Array.of(100, 0, 0, 1), 2, 'full');
    const nearest: NearestRules = async (all) =>
      all.map((set) => set.map((centres) => (centres.length ? nearestRule(centres, inverse) : null)));
    const [[centres]] = await lloyd(memoryRounds({ rows, z }), [[points([0, 1], [0, 5]), []]], 6, nearest);
    // The first coordinate hardly counts: the first two blobs against the third.
    const expected = [meanOf(where(rows, (i) => blob[i] < 2)), meanOf(where(rows, (i) => blob[i] === 2))];
    assertClose(
      centres.flatMap((c) => [...c]),
      expected.flat(),
      1e-12,
    );
  });
});

test('a rule’s cell has a child for each part, and refers to vectors of the table', () => {
  const table = vectorTable();
  table.add(Float64Array.of(9, 9));
  const [a, b] = [Float64Array.of(1, 2), Float64Array.of(3, 4)];
  assert.deepEqual(ruleCell({ centres: [a, b] }, [5, -1], table), { near: [1, 2], into: [5, -1] });
  const linear = ruleCell({ weights: [b, a], offsets: [0.5, -1] }, [0, 1], table);
  assert.deepEqual(linear, { linear: [3, 4], offsets: [0.5, -1], into: [0, 1] });
  assert.deepEqual(table.rows, [Float64Array.of(9, 9), a, b, b, a]);
});

test('statistics by several sets of rules, of both kinds, some clusters left out', async () => {
  const { rows, blob } = blobs(
    3,
    [
      [0, 0],
      [9, 0],
      [0, 9],
      [70, 70],
    ],
    20,
  );
  const z = blob.map((b) => (b < 3 ? 0 : 1));
  const below: Rules[0] = {
    weights: [Float64Array.of(0, 0), Float64Array.of(0, 1), Float64Array.of(1, 0)],
    offsets: [0, -4.5, -4.5],
  };
  const far: Rules[0] = { weights: [Float64Array.of(1, 1), Float64Array.of(0, 0)], offsets: [-100, 0] };
  const sets: Rules[] = [
    [below, null],
    [null, { centres: [Float64Array.of(70, 70)] }],
    [{ centres: [Float64Array.of(4, 0), Float64Array.of(0, 9)] }, far],
    [null, null],
  ];
  const pivots = sets.map((rules) =>
    rules.map((rule) => Array.from({ length: rule ? partsOf(rule) : 0 }, () => Float64Array.of(1, 2))),
  );
  const found = await statisticsByRules(memoryRounds({ rows, z }), sets, pivots);
  assert.deepEqual(
    found.map((set) => set.map((parts) => parts.map(([n]) => n))),
    [
      [[20, 20, 20], []],
      [[], [20]],
      [
        [40, 20],
        [20, 0],
      ],
      [[], []],
    ],
  );
  for (const [j, b] of [0, 2, 1].entries())
    assertClose(found[0][0][j], statisticsOf(where(rows, (i) => blob[i] === b)), 1e-12);
});
