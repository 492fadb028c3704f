import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  keepLargest,
  labelsOf,
  linksBetween,
  type Memberships,
  meanField,
  type RowField,
  regrouped,
  sweptMemberships,
  withVolumes,
} from '../../../model/graph/mean-field.ts';
import { degrees, type Graph } from '../../../model/graph/weights.ts';
import { KEPT_MEMBERSHIPS as KEPT } from '../../../model/widths.ts';
import { close, forAll } from '../support.ts';
import {
  fieldByFormula,
  graphOf,
  matrixOf,
  randomGraph,
  randomMemberships,
  sharesOf,
  volumesOf,
} from './support.ts';

const withDegrees = (graph: Graph, starts: number[] = []) => {
  const degree = degrees(graph);
  const total = degree.reduce((a, b) => a + b, 0);
  return { graph, degree, total, starts: Int32Array.of(0, ...starts, degree.length) };
};

function fieldOf(graph: Graph, memberships: Memberships, clusters: number, coupling = 2, resolution = 1) {
  const of = withDegrees(graph);
  return meanField(of, withVolumes(memberships, of.degree, clusters), { coupling, resolution });
}

/** The field of a row in all clusters. */
function dense({ count, cluster, share }: RowField, clusters: number): number[] {
  const all = Array<number>(clusters).fill(0);
  for (let c = 0; c < count; c++) all[cluster[c]] += share[c];
  return all;
}

/** One row in these clusters, with these shares. */
function memberships(...rows: [cluster: number, share: number][][]): Memberships {
  const all = { cluster: new Int32Array(rows.length * KEPT), share: new Float32Array(rows.length * KEPT) };
  for (const [i, row] of rows.entries())
    for (const [m, [cluster, share]] of row.entries()) {
      all.cluster[i * KEPT + m] = cluster;
      all.share[i * KEPT + m] = share;
    }
  return all;
}

describe('the mean field', () => {
  test('is that of its formula', () => {
    forAll(
      [
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 2, max: 25 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom(0.5, 2, 40),
        fc.constantFrom(0.25, 1, 8),
      ],
      (seed, n, clusters, coupling, resolution) => {
        const graph = randomGraph(seed, n, () => 0.3);
        if (graph.index.length === 0) return;
        const all = randomMemberships(seed, n, clusters, KEPT);
        const at = fieldOf(graph, all, clusters, coupling, resolution);
        const expected = fieldByFormula(graph, sharesOf(all, clusters, KEPT), { coupling, resolution });
        for (let row = 0; row < n; row++) close(dense(at(row), clusters), expected[row], 1e-9);
      },
    );
  });

  test('of a row without neighbours, or with those of which nothing is known, is its memberships', () => {
    const own: [number, number][] = [
      [2, 0.75],
      [0, 0.25],
    ];
    const graph = graphOf(3, [[0, 1, 1]]);
    const at = fieldOf(graph, memberships(own, [], own), 3);
    for (const row of [0, 2]) assert.deepEqual(dense(at(row), 3), [0.25, 0, 0.75]);
    assert.deepEqual(dense(at(1), 3).length, 3);
  });

  test('is finite for a large coupling, and if links underflow', () => {
    const graph = graphOf(3, [
      [0, 1, 1],
      [0, 2, 5e-324],
      [1, 2, 1],
    ]);
    const rows = memberships(
      [[0, 1]],
      [[1, 1]],
      [
        [2, 0.75],
        [0, 0.25],
      ],
    );
    for (const coupling of [1, 1e6, 1e300]) {
      const at = fieldOf(graph, rows, 3, coupling, 1);
      for (const row of [0, 1, 2]) {
        const { count, share } = at(row);
        assert.ok(count <= 3, 'a cluster is there twice');
        close(
          share.slice(0, count).reduce((a, b) => a + b, 0),
          1,
          1e-12,
        );
      }
    }
  });
});

describe('memberships of all rows', () => {
  const cases = fc.tuple(
    fc.integer({ min: 0, max: 1e6 }),
    fc.integer({ min: 3, max: 25 }),
    fc.constantFrom(1, 3, 9),
  );
  const casesOf = ([seed, n, clusters]: [number, number, number]) => {
    const of = withDegrees(
      randomGraph(seed, n, () => 0.3),
      [1, n - 1],
    );
    const all = withVolumes(randomMemberships(seed, n, clusters, KEPT), of.degree, clusters, of.starts);
    return { of, all, shares: sharesOf(all, clusters, KEPT), clusters };
  };

  test('have volumes, and move in a sweep by the field of those before', () => {
    forAll([cases], (one) => {
      const { of, all, shares, clusters } = casesOf(one);
      close(all.volume, volumesOf(shares, of.degree), 1e-9);
      if (of.total === 0) return;
      const parameters = { coupling: 2, resolution: 1 };
      const swept = sweptMemberships(of, all, parameters, 1);
      const field = fieldByFormula(of.graph, shares, parameters);
      labelsOf(swept).forEach((label, row) => {
        assert.ok(field[row][label] > Math.max(...field[row]) - 1e-6);
      });
      close(swept.volume, volumesOf(sharesOf(swept, clusters, KEPT), of.degree), 1e-9);
      assert.deepEqual(sweptMemberships(of, swept, parameters, 1), sweptMemberships(of, all, parameters, 2));
    });
  });

  test('link clusters by rᵀWr', () => {
    forAll([cases], (one) => {
      const { of, all, shares, clusters } = casesOf(one);
      const weights = matrixOf(of.graph);
      const expected = Array.from({ length: clusters ** 2 }, (_, p) => {
        const [k, l] = [Math.floor(p / clusters), p % clusters];
        return weights
          .map((row, i) => shares[i][k] * row.reduce((sum, w, j) => sum + w * shares[j][l], 0))
          .reduce((a, b) => a + b, 0);
      });
      close(linksBetween(of.graph, all), expected, 1e-9);
    });
  });

  test('of clusters that are united are their sums', () => {
    forAll([cases], (one) => {
      const { of, all, shares, clusters } = casesOf(one);
      const place = Int32Array.from({ length: clusters }, (_, k) => k >> 1);
      const united = regrouped(all, place, (clusters + 1) >> 1);
      const sums = shares.map((row) =>
        Array.from(united.volume, (_, k) => row[2 * k] + (row[2 * k + 1] ?? 0)),
      );
      close(sharesOf(united, united.volume.length, KEPT).flat(), sums.flat(), 2e-3);
      close(united.volume, volumesOf(sums, of.degree), 1e-9);
    });
  });
});

describe('the largest memberships', () => {
  const keep = (share: ArrayLike<number>, cluster: number[] | null = null, kept = KEPT) => {
    const out = { cluster: new Int32Array(kept).fill(7), share: new Float32Array(kept).fill(7) };
    keepLargest(share, cluster && Int32Array.from(cluster), share.length, 0, kept, out, 0);
    return Array.from(out.share, (r, p) => [out.cluster[p], r]).filter(([, r]) => r > 0);
  };
  const fround = (...values: number[]) => values.map(Math.fround);

  test('are those of all, the largest first, scaled to the sum 1', () => {
    forAll(
      [
        fc.array(fc.double({ min: 0.002, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
      ],
      (shares, kept) => {
        const found = keep(shares, null, kept);
        const order = [...shares.keys()].sort(
          (a, b) => Math.fround(shares[b]) - Math.fround(shares[a]) || a - b,
        );
        const largest = order.slice(0, kept);
        assert.deepEqual(
          found.map(([k]) => k),
          largest,
        );
        const sum = largest.reduce((all, k) => all + shares[k], 0);
        close(
          found.map(([, r]) => r),
          largest.map((k) => shares[k] / sum),
          1e-6,
        );
      },
    );
  });

  test('do not include what hardly counts, and shares are scaled without it', () => {
    assert.deepEqual(keep([0.99e-3, 0.5, 0, 0.25, 0.5e-3]), [
      [1, fround(2 / 3)[0]],
      [3, fround(1 / 3)[0]],
    ]);
    assert.equal(keep([0.5, 1.1e-3]).length, 2);
  });

  test('include the largest, however small: of thousands of clusters, none may have more', () => {
    const shares = new Float32Array(4000).fill(1 / 4000);
    shares[1234] *= 1.5;
    assert.deepEqual(keep(shares), [[1234, 1]]);
  });

  test('are none of a net that has diverged', () => {
    assert.deepEqual(keep([Number.NaN, Number.NaN]), []);
    assert.deepEqual(keep([0, 0]), []);
    assert.deepEqual(keep([]), []);
    assert.deepEqual(keep([Number.NaN, 0.5]), [[1, 1]]);
  });
});
