import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  combinedComponents,
  histogramsOf,
  type PairEvidence,
  pairEvidence,
} from '../../../model/gaussian/combining.ts';
import { neighbourPairs } from '../../../model/gaussian/neighbour-pairs.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { randomNumbers } from '../../coordinator/fit/support.ts';
import { close, fullCovariance } from '../support.ts';
import { evidenceOf, fitted, groupsOf, type Labelled, simulatedOf } from './groups.ts';

type Random = ReturnType<typeof randomNumbers>;

/** n rows in d columns, of two clusters in turn whose centres are `apart` in the first column. */
function twoClusters(d: number, n: number, apart: number, draw: () => number): Labelled {
  const labels = Array.from({ length: n }, (_, i) => i % 2);
  const rows = Float64Array.from({ length: n * d }, draw);
  for (const [i, label] of labels.entries()) rows[i * d] += apart * label;
  return { d, rows, labels };
}

/** n rows of a ring with radius 10, as wide in the other columns as across, in pieces by their angle. */
function ring({ normal, uniform }: Random, n: number, pieces: number, d = 2, sd = 0.2): Labelled {
  const angles = Array.from({ length: n }, uniform);
  const rows = angles.flatMap((angle) => {
    const radius = 10 + sd * normal();
    const others = Array.from({ length: d - 2 }, () => sd * normal());
    return [radius * Math.cos(2 * Math.PI * angle), radius * Math.sin(2 * Math.PI * angle), ...others];
  });
  return { d, rows: Float64Array.from(rows), labels: angles.map((angle) => Math.floor(angle * pieces)) };
}

/** A ring in 12 pieces, and beside it two Gaussians that are 3.2 sd apart. */
function ringAndPair(seed: number): Labelled {
  const random = randomNumbers(seed);
  const pieces = ring(random, 1000, 12);
  const pair = twoClusters(2, 600, 3.2, random.normal);
  const beside = pair.rows.map((value, p) => (p % 2 ? value : value + 30));
  return {
    d: 2,
    rows: Float64Array.from([...pieces.rows, ...beside]),
    labels: [...pieces.labels, ...pair.labels.map((label) => 12 + label)],
  };
}

const RING_AND_PAIR = [...Array(12).fill(0), 1, 2];

describe('pairs of components', () => {
  test('have the axis on which their means are farthest apart for their common covariance', () => {
    const data = twoClusters(3, 400, 3, randomNumbers(1).normal);
    for (let p = 0; p < data.rows.length; p += 3) data.rows[p + 1] += 0.8 * data.rows[p];
    const { mixture } = fitted(data);
    const [{ axis, from, length, sd }] = neighbourPairs(mixture);
    const [first, second] = [0, 1].map((c) => fullCovariance(mixture, c));
    const variance = (u: ArrayLike<number>, matrix: Float64Array) =>
      matrix.reduce((sum, value, p) => sum + u[p % 3] * value * u[Math.floor(p / 3)], 0);
    const along = (u: ArrayLike<number>, x: Float64Array) =>
      x.reduce((sum, value, j) => sum + u[j] * value, 0);
    const common = first.map((value, p) => mixture.weights[0] * value + mixture.weights[1] * second[p]);
    const ratio = (u: ArrayLike<number>) =>
      (along(u, mixture.means[1]) - along(u, mixture.means[0])) ** 2 / variance(u, common);
    close([...sd], [Math.sqrt(variance(axis, first)), Math.sqrt(variance(axis, second))], 1e-9);
    close([from, from + length], [along(axis, mixture.means[0]), along(axis, mixture.means[1])], 1e-9);
    const { normal } = randomNumbers(2);
    for (let draw = 0; draw < 100; draw++) {
      const other = axis.map((value) => value + 0.3 * normal());
      assert.ok(ratio(other) <= ratio(axis) * (1 + 1e-9));
    }
  });

  test('are those of which one is among the nearest of the other', () => {
    const { mixture } = fitted(ring(randomNumbers(3), 2000, 24));
    const pairs = neighbourPairs(mixture);
    const neighbours = pairs.filter(({ a, b }) => b - a === 1 || b - a === 23);
    assert.equal(neighbours.length, 24);
    assert.ok(pairs.length < 24 * 8, `${pairs.length} of ${(24 * 23) / 2}`);
  });

  test('have nats that are, in the mean and with the variance that is said, what rows of the mixture give', () => {
    const { mixture } = fitted(twoClusters(2, 1000, 3, randomNumbers(4).normal));
    const pairs = neighbourPairs(mixture);
    const drawn = (seed: number) => simulatedOf(mixture, pairs, `${seed}`);
    const [predicted] = histogramsOf(drawn(0), 2, pairs);
    const z = Array.from({ length: 12 }, (_, i) => drawn(1 + i)).flatMap(({ rows, labels }) =>
      Array.from({ length: 25 }, (_, from) => {
        const every = [...labels.keys()].filter((row) => row % 25 === from);
        const some = {
          rows: Float32Array.from(every.flatMap((row) => [rows[2 * row], rows[2 * row + 1]])),
          labels: Int32Array.from(every, (row) => labels[row]),
        };
        const { nats, mean, variance } = pairEvidence(pairs[0], histogramsOf(some, 2, pairs)[0], predicted);
        return (nats - mean) / Math.sqrt(variance);
      }),
    );
    const mean = z.reduce((sum, value) => sum + value, 0) / z.length;
    const variance = z.reduce((sum, value) => sum + (value - mean) ** 2, 0) / z.length;
    assert.ok(Math.abs(mean) < 0.25 && Math.abs(variance - 1) < 0.3, `${mean}, ${variance}`);
  });
});

describe('components are combined', () => {
  // In 60 draws of each with up to 3,000 rows, at most one is.
  test('seldom where two Gaussians overlap', () => {
    let [joined, draws] = [0, 0];
    for (const d of [2, 5, 10])
      for (const n of [300, 1000, 3000, 10000])
        for (const apart of [2.2, 2.6, 3.2, 4])
          for (let seed = 1; seed <= (n > 1000 ? 1 : 5); seed++) {
            draws++;
            const [a, b] = groupsOf(twoClusters(d, n, apart, randomNumbers(97 * n + d + seed).normal));
            if (a === b) joined++;
          }
    assert.ok(joined <= 0.05 * draws, `${joined} of ${draws}`);
  });

  for (const [what, draw] of [
    ['heavy tails', ({ normal }: Random) => normal() / Math.hypot(normal(), normal(), normal())],
    ['pointed peaks', ({ uniform }: Random) => Math.log(uniform() / uniform())],
  ] as const)
    test(`not where two clusters with ${what} are apart`, () => {
      for (let seed = 1; seed <= 10; seed++) {
        const random = randomNumbers(seed);
        assert.deepEqual(groupsOf(twoClusters(2, 1000, 6, () => draw(random))), [0, 1], `seed ${seed}`);
      }
    });

  test('where the pieces are of a ring', () => {
    for (let seed = 1; seed <= 5; seed++)
      assert.deepEqual(groupsOf(ring(randomNumbers(seed), 1000, 12)), Array(12).fill(0), `seed ${seed}`);
  });

  test('also where ten columns fit the axis between two of them', () => {
    for (const seed of [1, 2, 3]) {
      const groups = groupsOf(ring(randomNumbers(seed), 800, 8, 10));
      assert.equal(new Set(groups).size, 1, `seed ${seed}: ${groups}`);
    }
  });

  test('whatever doubtful pairs lead away from them', () => {
    const pair = (a: number, b: number, nats: number): PairEvidence => {
      return { a, b, length: 9, valley: 0.8, rows: 100, nats, mean: -4, variance: 9, fitted: 2 };
    };
    const curve = [pair(0, 1, 1), pair(1, 2, 1), pair(2, 3, 1)];
    const away = [3, 4, 5, 6, 7].map((a) => pair(a, a + 1, -5));
    const odds = Array.from({ length: 30 }, (_, i) => pair(9 + 2 * i, 10 + 2 * i, 4));
    const groups = combinedComponents(70, [...curve, ...away, ...odds]);
    assert.deepEqual([...groups.subarray(0, 9)], [0, 0, 0, 0, 1, 2, 3, 4, 5]);
  });

  test('where the pieces are of a sphere, and not with what is inside it', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const { normal } = randomNumbers(seed);
      const corners = Array.from({ length: 12 }, (_, c) => [
        Math.cos(2.4 * c) * Math.sqrt(1 - ((c - 5.5) / 6) ** 2),
        Math.sin(2.4 * c) * Math.sqrt(1 - ((c - 5.5) / 6) ** 2),
        (c - 5.5) / 6,
      ]);
      const rows: number[] = [];
      const labels: number[] = [];
      for (let i = 0; i < 1500; i++) {
        const direction = [normal(), normal(), normal()];
        const length = Math.hypot(...direction);
        const isInside = i % 5 === 0;
        rows.push(...direction.map((value) => (isInside ? value : (8 + 0.3 * normal()) * (value / length))));
        const near = corners.map((corner) => corner.reduce((sum, value, j) => sum + value * direction[j], 0));
        labels.push(isInside ? 12 : near.indexOf(Math.max(...near)));
      }
      assert.deepEqual(
        groupsOf({ d: 3, rows: Float64Array.from(rows), labels }),
        [...Array(12).fill(0), 1],
        `seed ${seed}`,
      );
    }
  });

  test('but not where many are chosen for what they say by chance', () => {
    const pair = (a: number, b: number, nats: number): PairEvidence => {
      return { a, b, length: 9, valley: 0.8, rows: 100, nats, mean: -4, variance: 9, fitted: 2 };
    };
    // Of pairs whose nats are beyond −4 the mean under the mixture is −1.6.
    const chain = [pair(0, 1, 0), pair(1, 2, -1), pair(2, 3, 0), pair(3, 4, -1)];
    assert.equal(new Set(combinedComponents(5, chain)).size, 5);
    const likelier = chain.map((own) => ({ ...own, nats: own.nats + 2 }));
    assert.equal(new Set(combinedComponents(5, likelier)).size, 1);
  });

  test('in a ring, and not in an overlapping pair beside it', () => {
    for (let seed = 1; seed <= 5; seed++)
      assert.deepEqual(groupsOf(ringAndPair(seed)), RING_AND_PAIR, `seed ${seed}`);
  });

  test('the same whatever the units and axes of the columns', () => {
    for (const [a, b, c, e] of [
      [100, 0, 0, 0.01],
      [1, 2, -3, 0.5],
    ]) {
      const data = ringAndPair(1);
      const { mixture, labels } = fitted(data);
      const map = ([x, y]: ArrayLike<number> & Iterable<number>) => [a * x + b * y, c * x + e * y];
      const rows = data.rows.slice();
      for (let p = 0; p < rows.length; p += 2) rows.set(map(rows.subarray(p, p + 2)), p);
      const moved: Mixture = {
        ...mixture,
        means: mixture.means.map((mean) => Float64Array.from(map(mean))),
        covariances: mixture.covariances.map(([xx, xy, , yy]) => {
          const [left, right] = [map([xx, xy]), map([xy, yy])];
          return Float64Array.from([0, 1].flatMap((i) => map([left[i], right[i]])));
        }),
      };
      const pairs = neighbourPairs(moved);
      const simulated = simulatedOf(moved, pairs);
      const evidence = evidenceOf(pairs, rows, labels, simulated);
      assert.deepEqual([...combinedComponents(moved.k, evidence)], RING_AND_PAIR);
    }
  });

  test('never where there is nothing between them, and one alone is its own group', () => {
    assert.deepEqual([...combinedComponents(1, [])], [0]);
    assert.deepEqual([...combinedComponents(3, [])], [0, 1, 2]);
  });
});

describe('what was decided before', () => {
  /** Two components of which the rows say so much for joining them, where chance may be off by `sd`. */
  const pair = (nats: number, sd = 1): PairEvidence[] => [
    { a: 0, b: 1, length: 9, valley: 0.8, rows: 200, nats, mean: -3, variance: sd * sd, fitted: 2 },
  ];
  const isOne = (nats: number, before?: number[]) => {
    const [a, b] = combinedComponents(2, pair(nats), { before: before && Int32Array.from(before) });
    return a === b;
  };

  test('stands unless log 20 is against it', () => {
    assert.deepEqual(
      [-4, -2, 2, 4].map((nats) => isOne(nats)),
      [false, false, true, true],
    );
    assert.deepEqual(
      [-4, -2, 2, 4].map((nats) => isOne(nats, [7, 7])),
      [false, true, true, true],
    );
    assert.deepEqual(
      [-4, -2, 2, 4].map((nats) => isOne(nats, [7, 5])),
      [false, false, false, true],
    );
  });

  test('keeps clusters from flipping as rows are added', () => {
    const changes = (groups: string[]) => groups.filter((own, i) => i > 0 && own !== groups[i - 1]);
    let [alone, kept, back] = [0, 0, 0];
    for (let seed = 1; seed <= 6; seed++) {
      const { rows, labels } = ring(randomNumbers(seed), 1000, 5, 2, 3);
      const [now, stayed]: string[][] = [[], []];
      let before: number[] | undefined;
      for (let n = 100; n <= 1000; n += 60) {
        const data = { d: 2, rows: rows.slice(0, 2 * n), labels: labels.slice(0, n) };
        now.push(String(groupsOf(data)));
        before = groupsOf(data, before);
        stayed.push(String(before));
      }
      alone += changes(now).length;
      kept += changes(stayed).length;
      back += changes(stayed).length - new Set(stayed).size + 1;
    }
    assert.ok(kept <= 1 && alone > 5, `${kept} changes, ${alone} without`);
    assert.equal(back, 0, 'what has changed does not go back');
  });

  test('is nothing for a component that is new', () => {
    for (const before of [
      [-1, 3],
      [3, -1],
      [-1, -1],
    ])
      assert.deepEqual(
        [-2, 2].map((nats) => isOne(nats, before)),
        [false, true],
      );
  });
});
