import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contrastsOf } from '../../../model/description/contrast.ts';
import {
  type Candidate,
  centresOf,
  confidenceOf,
  distanceCounts,
  distanceFrom,
  distancesFrom,
  keepLeast,
  nearestClusters,
  outlierScore,
  reachOf,
  reorderedCentres,
} from '../../../model/description/distances.ts';
import { normals } from '../support.ts';

describe('quantiles of distances', () => {
  const sample = (rows: number, seed: number) => {
    const next = normals(seed);
    return Float32Array.from({ length: rows }, () => Math.hypot(next(), next(), next()));
  };
  /** As NumPy's default. */
  const quantile = (sorted: Float32Array, q: number) => {
    const place = q * (sorted.length - 1);
    const low = Math.floor(place);
    return sorted[low] + (place - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };

  for (const [rows, k, tolerance] of [
    [1, 1, 1e-7],
    [2, 3, 1e-7],
    [777, 3, 1e-7],
    [30_000, 5000, 3e-3],
  ])
    test(`of ${rows} rows in one of ${k} clusters, in whatever order they come`, () => {
      const values = sample(rows, rows);
      const [one, other] = [distanceCounts(k), distanceCounts(k)];
      for (const value of values) one.add(k - 1, value);
      for (const value of values.toReversed()) other.add(k - 1, value);
      const order = Array.from({ length: k }, (_, c) => k - 1 - c);
      const found = one.quantiles(order);
      assert.deepEqual(found, other.quantiles(order));
      assert.equal(found.length, k * 1001);
      assert.ok(found.subarray(1001).every((value) => value === 0));
      const sorted = values.toSorted();
      for (let step = 0; step <= 1000; step++) {
        const expected = quantile(sorted, step / 1000);
        assert.ok(Math.abs(found[step] - expected) <= tolerance * expected, `${step}`);
      }
      const marked = values.filter((value) => outlierScore(found, 0, value) > 0.99).length;
      assert.equal(marked, values.filter((value) => value > quantile(sorted, 0.99)).length);
    });

  test('scores go from 0 to 1 with the share of nearer rows, and are 1 beyond all of them', () => {
    const counts = distanceCounts(1);
    for (let i = 1; i <= 101; i++) counts.add(0, i);
    const quantiles = counts.quantiles([0]);
    for (const [distance, score] of [
      [0.5, 0],
      [1, 0],
      [26, 0.25],
      [51, 0.5],
      [101, 1],
      [1000, 1],
    ])
      assert.ok(Math.abs(outlierScore(quantiles, 0, distance) - score) < 1e-6, `${distance}`);
  });
});

describe('centres', () => {
  const mixture = (covariance: 'full' | 'diag', covariances: number[][]) => ({
    ...{ k: covariances.length, d: 2, covariance, weights: Float64Array.of(0.5, 0.5) },
    means: [Float64Array.of(0, 0), Float64Array.of(6, 8)],
    covariances: covariances.map((values) => Float64Array.from(values)),
  });

  test('distances are by the own covariance of a cluster, so nearest ones are not mutual', () => {
    const centres = centresOf(
      mixture('full', [
        [4, 0, 0, 4],
        [1, 0, 0, 1],
      ]),
    );
    assert.deepEqual(nearestClusters(centres, [[0], [1]], 0, 2, 5), [{ cluster: 1, distance: 5 }]);
    assert.deepEqual(nearestClusters(centres, [[0], [1]], 1, 2, 5), [{ cluster: 0, distance: 10 }]);
    assert.deepEqual(nearestClusters(reorderedCentres(centres, [1, 0]), [[0], [1]], 0, 2, 5), [
      { cluster: 1, distance: 10 },
    ]);
  });

  test('of rows with labels in any order they have the same bits as one by one', () => {
    for (const [covariance, covariances] of [
      [
        'diag',
        [
          [4, 1],
          [1, 9],
          [1, 1],
        ],
      ],
      [
        'full',
        [
          [4, 1, 1, 2],
          [1, -0.5, -0.5, 3],
          [1, 0, 0, 1],
        ],
      ],
    ] as const) {
      const { weights, means, ...own } = mixture(
        covariance,
        covariances.map((values) => [...values]),
      );
      const centres = centresOf({ ...own, weights, means: [...means, Float64Array.of(-3, 1)] });
      const rows = Float32Array.from({ length: 2 * 23 }, normals(3));
      const labels = Int32Array.from({ length: 23 }, (_, i) => (i % 5 === 0 ? 2 : i % 2));
      assert.deepEqual(
        distancesFrom(centres, rows, labels),
        Float32Array.from(labels, (label, i) => distanceFrom(centres, label, rows, 2 * i)),
      );
    }
  });

  test('where a cluster is flat, distances are measured along the other columns', () => {
    for (const [covariance, flat] of [
      ['diag', [4, 0]],
      ['full', [4, 0, 0, 0]],
    ] as const) {
      const centres = centresOf(mixture(covariance, [[...flat], [...flat]]));
      assert.equal(distanceFrom(centres, 0, [6, 8]), 3);
    }
  });
});

test('columns that set clusters apart: the differences of means in standard deviations, the largest first', () => {
  const rows = [
    [
      [1, 5, 7],
      [3, 5, 7.5],
    ],
    [
      [1, 9, 7],
      [3, 9, 7],
    ],
  ];
  const sums = rows.map((own) =>
    Float64Array.from([0, 1, 2], (j) => own.reduce((sum, row) => sum + row[j], 0)),
  );
  const squares = Float64Array.from([0, 1, 2], (j) => rows.flat().reduce((sum, row) => sum + row[j] ** 2, 0));
  assert.ok(
    contrastsOf([2, 2], sums, squares, 3, (column) => column > 0)[0].every(({ column }) => column > 0),
  );
  const [first, second] = contrastsOf([2, 2], sums, squares, 2);
  assert.deepEqual(first[0], { column: 1, mean: 5, rest: 9, difference: -2 });
  assert.deepEqual(second[0], { column: 1, mean: 9, rest: 5, difference: 2 });
  assert.equal(first.length, 2);
  assert.ok(Math.abs(first[1].difference - 0.25 / Math.sqrt(0.046875)) < 1e-9);
  // A column without spread, one cluster alone, and one without rows.
  assert.deepEqual(contrastsOf([2], [Float64Array.of(2e9)], Float64Array.of(2e18), 3), [[]]);
  assert.deepEqual(
    contrastsOf(
      [2, 1, 0],
      [Float64Array.of(2e9), Float64Array.of(1e9), Float64Array.of(0)],
      Float64Array.of(3e18),
      3,
    ),
    [[], [], []],
  );
});

test('a list of the least candidates is the same in any order, of equal ones the first rows', () => {
  const candidates = Array.from({ length: 60 }, (_, row) => ({ row, value: [3, 1, 2, 1, 2][row % 5] }));
  const lists = [candidates, candidates.toReversed(), candidates.toSorted((a, b) => a.value - b.value)].map(
    (all) => {
      const list: Candidate[] = [];
      for (const candidate of all) keepLeast(list, candidate, 30);
      return list;
    },
  );
  const expected = candidates.toSorted((a, b) => a.value - b.value || a.row - b.row).slice(0, 30);
  for (const list of lists) assert.deepEqual(list, expected);
});

test('the reach of a cluster is about the distance that one row in a million exceeds', () => {
  // By SciPy: chi2.ppf(1 - 1e-6, d) ** .5
  for (const [d, exact, tolerance] of [
    [1, 4.891638, 0.08],
    [3, 5.537585, 0.04],
    [8, 6.534594, 0.02],
    [32, 9.232094, 0.005],
    [784, 31.413698, 0.001],
  ])
    assert.ok(reachOf(d) > exact && reachOf(d) < exact * (1 + tolerance), `${d}: ${reachOf(d)}`);
});

test('a label is as sure as its responsibility, but not beyond the reach of its cluster', () => {
  assert.equal(confidenceOf(0.8, 0.999 * reachOf(8), 8), 0.8);
  assert.equal(confidenceOf(0.8, 20, 8), (0.8 * 8) / 400);
  assert.ok(confidenceOf(1, 1.001 * reachOf(1), 1) < 0.05);
});
