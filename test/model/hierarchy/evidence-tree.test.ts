import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { logSplitRatio } from '../../../model/gaussian/hastings.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { cutAt, type Join } from '../../../model/hierarchy/dendrogram.ts';
import { componentTrees, evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import { generator } from '../../../model/random.ts';
import { addStatistics, type Covariance } from '../../../model/statistics.ts';
import { COVARIANCES, close, forAll, statisticsOf } from '../support.ts';

const ALPHA = 10;
const ALL = 1e6;

const prior = (d: number, covariance: Covariance) =>
  niwPrior({
    ...{ mean: new Float64Array(d), kappa: 1e-4, nu: 2 * d + 1, covariance },
    psi:
      covariance === 'full'
        ? Float64Array.from({ length: d * d }, (_, p) => (p % (d + 1) ? 0 : d))
        : new Float64Array(d).fill(d),
  });

/** Statistics of rows about each centre. */
function blobs(
  seed: number,
  centres: number[][],
  covariance: Covariance = 'full',
  rows = 60,
): Float64Array[] {
  const rng = generator(BigInt(seed), 'blobs');
  return centres.map((centre) => {
    const x = Array.from({ length: rows }, () => centre.map((value) => value + rng.normal())).flat();
    return statisticsOf(x, centre.length, covariance);
  });
}

const centresOf = (seed: number, k: number, d: number, extent: number) => {
  const rng = generator(BigInt(seed), 'centres');
  return Array.from({ length: k }, () => Array.from({ length: d }, () => extent * rng.normal()));
};

/** The cheapest pair of all in each step, by the ratio of its split. */
function naiveTree(T: Float64Array[], covariance: Covariance): Join[] {
  const own = prior((T[0].length - 1) / 2, covariance);
  const total = T.reduce((sum, [n]) => sum + n, 0);
  let left = T.map((t, id) => ({ id, t }));
  const joins: Join[] = [];
  while (left.length > 1) {
    const pairs = left.flatMap((a, i) =>
      left.slice(i + 1).map((b) => ({ a, b, cost: logSplitRatio(own, [a.t, b.t], ALPHA, 1) })),
    );
    const { a, b, cost } = pairs.reduce((one, other) => (other.cost < one.cost ? other : one));
    const height = Math.max(joins.at(-1)?.height ?? 0, cost / total);
    joins.push({ a: Math.min(a.id, b.id), b: Math.max(a.id, b.id), height });
    left = [
      ...left.filter((node) => node !== a && node !== b),
      { id: T.length + joins.length - 1, t: addStatistics(a.t, b.t) },
    ];
  }
  return joins;
}

test('trees of components are those of their cluster alone, in nats a row of all', () => {
  const own = prior(2, 'full');
  const T = blobs(3, centresOf(3, 7, 2, 6));
  T[4] = new Float64Array(T[4].length);
  const members = [[0, 2, 5], [1], [3, 4], [6]];
  const trees = componentTrees(own, T, members, ALPHA);
  // One of two components without rows leaves one.
  assert.deepEqual(
    trees.map(({ cluster, components, sizes }) => [cluster, components, sizes]),
    [[0, [0, 2, 5], [60, 60, 60]]],
  );
  const alone = evidenceTree(own, [T[0], T[2], T[5]], ALPHA);
  for (const [i, { a, b, height }] of trees[0].joins.entries()) {
    assert.deepEqual([a, b], [alone[i].a, alone[i].b]);
    close(height, alone[i].height / 2, 1e-12);
  }
});

describe('joins by evidence', () => {
  test('are the cheapest of all pairs, at the log H of the split that undoes them for each row', () => {
    forAll(
      [fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 10 }), fc.constantFrom(0.5, 3, 20)],
      50,
      (seed, k, extent) => {
        const T = blobs(seed, centresOf(seed, k, 3, extent), 'diag', 12);
        const [found, expected] = [evidenceTree(prior(3, 'diag'), T, ALPHA, ALL), naiveTree(T, 'diag')];
        assert.deepEqual(
          found.map(({ a, b }) => [a, b]),
          expected.map(({ a, b }) => [a, b]),
        );
        close(
          found.map(({ height }) => height),
          expected.map(({ height }) => height),
          1e-9,
        );
      },
    );
  });

  for (const covariance of COVARIANCES)
    test(`the nearest come first, then near groups (${covariance})`, () => {
      const T = blobs(
        1,
        [
          [0, 0],
          [40, 0],
          [4, 0],
          [40, 9],
          [300, 300],
        ],
        covariance,
      );
      const joins = evidenceTree(prior(2, covariance), T, ALPHA, ALL);
      assert.deepEqual(
        joins.map(({ a, b }) => [a, b]),
        [
          [0, 2],
          [1, 3],
          [5, 6],
          [4, 7],
        ],
      );
      for (const [i, { height }] of joins.entries()) assert.ok(height > (joins[i - 1]?.height ?? 0));
    });

  test('heights never fall, however close clusters are, and none is negative', () => {
    for (const extent of [0, 0.3, 1, 3]) {
      const joins = evidenceTree(prior(2, 'full'), blobs(5, centresOf(5, 40, 2, extent)), ALPHA, ALL);
      assert.equal(joins.length, 39);
      joins.forEach(({ height }, i) => {
        assert.ok(height >= (joins[i - 1]?.height ?? 0), `${extent}`);
      });
    }
  });
});

describe('with many clusters', () => {
  /** Groups of eight clusters. */
  const grouped = (groups: number) =>
    centresOf(7, groups, 4, 300).flatMap((centre, g) =>
      centresOf(g, 8, 4, 4).map((own) => own.map((value, i) => value + centre[i])),
    );

  test('a few candidates are enough to find groups', () => {
    const T = blobs(8, grouped(12), 'full', 30);
    const tree = { sizes: T.map(([n]) => n), joins: evidenceTree(prior(4, 'full'), T, ALPHA, 3) };
    const { place } = cutAt(tree, 12);
    const ofGroup = Array.from({ length: 12 }, (_, g) => new Set(place.slice(8 * g, 8 * g + 8)));
    for (const own of ofGroup) assert.equal(own.size, 1);
    assert.equal(new Set(ofGroup.flatMap((own) => [...own])).size, 12);
  });
});
