import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CLOSE } from '../../../model/gaussian/evidence-for-k.ts';
import { logSplitRatio } from '../../../model/gaussian/hastings.ts';
import { niwPrior } from '../../../model/gaussian/niw.ts';
import { singleClusterGain } from '../../../model/gaussian/single-cluster.ts';
import {
  bestSoftSplit,
  joinedHard,
  logSoftRatio,
  ratioOf,
  regrown,
  responsibilities,
  softSplitFromAbove,
  splitFurther,
} from '../../../model/gaussian/soft-split.ts';
import { generator } from '../../../model/random.ts';
import { type Covariance, softStatistics } from '../../../model/statistics.ts';
import { COVARIANCES, close, normalRows, statisticsOf } from '../support.ts';
import { oneCluster } from './one-cluster.ts';

/** The best split, and what a single-cluster model gains. */
function judged(values: number[], d: number, covariance: Covariance = 'full') {
  const { rows, n, priorOf, start } = oneCluster(values, d, covariance);
  const split = bestSoftSplit(rows, priorOf, 10, 1, generator(1n, 'test'));
  const single = singleClusterGain(rows, start, n);
  return { split, single, accepted: !!split && split.logRatio > Math.max(CLOSE, single) };
}

/** Rows of Gaussians, in turn, by the columns' standard deviations. */
const mixed = (seed: number, n: number, of: { at: number[]; sd: number }[]) =>
  of.flatMap(({ at, sd }, c) =>
    normalRows(seed + c, n, at.length).map((value, p) => at[p % at.length] + sd * value),
  );

const uniform = (seed: number, n: number, d: number) => {
  const rng = generator(BigInt(seed), 'uniform');
  return Array.from({ length: n * d }, () => rng.uniform());
};

/** A multivariate t. */
function heavyTails(seed: number, n: number, d: number, freedom: number): number[] {
  const rng = generator(BigInt(seed), 't');
  return Array.from({ length: n }, () => {
    const square = Array.from({ length: freedom }, () => rng.normal() ** 2).reduce((a, b) => a + b);
    return Array.from({ length: d }, () => rng.normal() / Math.sqrt(square / freedom));
  }).flat();
}

describe('parts that overlap are found', () => {
  for (const covariance of COVARIANCES)
    test(`three of them, of which two are 3 sd apart, ${covariance}`, () => {
      const at = [
        [0, 0, 0],
        [3, 0, 0],
        [0, 5, 0],
      ];
      const { split, accepted } = judged(
        mixed(
          5,
          600,
          at.map((centre) => ({ at: centre, sd: 1 })),
        ),
        3,
        covariance,
      );
      assert.equal(split!.T.length, 3);
      for (const [n] of split!.T) assert.ok(Math.abs(n - 600) < 90, `${n} rows`);
      assert.ok(accepted);
    });

  test('a small tight one inside a wide one', () => {
    const { split, single, accepted } = judged(
      mixed(7, 1000, [
        { at: [0, 0], sd: 1 },
        { at: [0, 0], sd: 0.1 },
      ]),
      2,
    );
    assert.ok(accepted, `${split!.logRatio} nats, ${single} by a single-cluster model`);
  });

  test('where they are twelve sd apart, soft parts are the hard ones', () => {
    const { split } = judged(
      mixed(9, 300, [
        { at: [0, 0], sd: 1 },
        { at: [12, 0], sd: 1 },
      ]),
      2,
    );
    assert.equal(split!.T.length, 2);
    for (const [n] of split!.T) close(n, 300, 1e-6);
    assert.ok(split!.entropy < 1e-3);
  });
});

test('three clusters in a row, of which two have the one in the middle between them, are found together', () => {
  const at = [-3, 0, 3].map((x) => ({ at: [x, 0], sd: 1 }));
  const { rows, d, n, priorOf } = oneCluster(mixed(11, 400, at), 2);
  const sides = Float64Array.from({ length: 4 * n }, (_, p) => {
    const x = rows[d * Math.floor(p / 4)];
    return Number(p % 4 === (x < -0.6 ? 0 : x < 0 ? 1 : x < 0.6 ? 2 : 3));
  });
  const halves = softStatistics(rows, d, sides, 4, 'full');
  const found = regrown(rows, halves, priorOf, 10)!;
  assert.equal(found.T.length, 3);
  for (const [size] of found.T) assert.ok(Math.abs(size - 400) < 50, `${size} rows`);
  // Nothing is left to be joined or found.
  const again = regrown(rows, found.T, priorOf, 10)!;
  assert.equal(again.T.length, 3);
});

/** Rows of which the last column is a function of the others, and `noise` times itself. */
function bent(values: number[], d: number, noise: number, by: (row: number[]) => number): number[] {
  return values.map((value, p) => (p % d === d - 1 ? by(values.slice(p - d + 1, p)) + noise * value : value));
}

const turned = (values: number[]) =>
  values.map((value, p, all) => (p % 2 ? all[p - 1] - value : value + all[p + 1]));

describe('one cluster of another shape is not split', () => {
  const shapes: [string, number[], number][] = [
    ['a Gaussian', normalRows(1, 2000, 3), 3],
    ['a Gaussian of few rows', normalRows(2, 60, 3), 3],
    ['a square', uniform(3, 3000, 2), 2],
    ['a square that is turned', turned(uniform(4, 3000, 2)), 2],
    ['ten independent columns', uniform(5, 1500, 10), 10],
    ['t with 3 degrees of freedom', heavyTails(6, 2000, 5, 3), 5],
    ['t with 5 degrees of freedom', heavyTails(7, 1000, 3, 5), 3],
    ['a banana', bent(normalRows(11, 800, 2), 2, 0.5, (x) => x[0] ** 2), 2],
    ['a banana that is turned', turned(bent(normalRows(12, 800, 2), 2, 0.5, (x) => x[0] ** 2)), 2],
    ['a bowl', bent(uniform(13, 2000, 3), 3, 0.1, ([x, y]) => (2 * x - 1) ** 2 + (2 * y - 1) ** 2), 3],
    ['a saddle in four columns', bent(normalRows(14, 1500, 4), 4, 0.3, ([x, y]) => x * y), 4],
  ];
  for (const [name, values, d] of shapes)
    test(name, () => {
      const { split, single, accepted } = judged(values, d);
      assert.ok(
        !accepted,
        `${split?.logRatio} nats for ${split?.T.length} parts, ${single} by a single-cluster model`,
      );
    });

  test('five independent columns, each t with 3 degrees of freedom, are described nearly as well as by their density', () => {
    const d = 5;
    const values = Array.from({ length: d }, (_, a) => heavyTails(20 + a, 5000, 1, 3));
    const { rows, n, start } = oneCluster(
      values[0].flatMap((_, i) => values.map((column) => column[i])),
      d,
    );
    const gain = values.reduce((sum, column) => {
      const variance = column.reduce((own, x) => own + x * x, 0) / n;
      const gaussian = (-n / 2) * (Math.log(2 * Math.PI * variance) + 1);
      return (
        sum +
        column.reduce((own, x) => own + Math.log(2 / (Math.PI * Math.sqrt(3) * (1 + (x * x) / 3) ** 2)), 0) -
        gaussian
      );
    }, 0);
    const single = singleClusterGain(rows, start, n);
    assert.ok(single > 0.95 * gain && single < 1.01 * gain, `${single} of ${gain} nats`);
  });

  test('nor, with diagonal covariances, one whose columns are correlated', () => {
    const values = normalRows(10, 2000, 2).map((value, p, all) =>
      p % 2 ? 0.8 * all[p - 1] + 0.6 * value : value,
    );
    const { split, accepted } = judged(values, 2, 'diag');
    assert.ok(split!.logRatio > 0);
    assert.equal(accepted, false);
  });

  test('nor one with a column that hardly varies, or rows too few for any part', () => {
    const flat = normalRows(8, 300, 3).map((value, p) => (p % 3 === 2 ? (p < 6 ? 1 : 0) : value));
    assert.equal(judged(flat, 3).accepted, false);
    assert.equal(judged(normalRows(9, 12, 3), 3).split, null);
  });
});

describe('many parts from above', () => {
  /** The split from above, and what a single-cluster model gains. */
  function fromAbove(values: number[], d: number) {
    const { rows, n, priorOf, start } = oneCluster(values, d);
    const split = softSplitFromAbove(rows, priorOf, 10, 1, generator(1n, 'above'));
    const needed = Math.max(CLOSE, singleClusterGain(rows, start, n));
    return { split, needed, accepted: !!split && split.logRatio > needed };
  }

  test('a grid of a hundred clusters, 4.2 sd apart', () => {
    const at = Array.from({ length: 100 }, (_, c) => [4.2 * (c % 10), 4.2 * Math.floor(c / 10)]);
    const centres = at.map((centre) => ({ at: centre, sd: 1 }));
    const { split, needed, accepted } = fromAbove(mixed(20, 100, centres), 2);
    assert.ok(Math.abs(split!.T.length - 100) <= 2, `${split!.T.length} parts`);
    assert.ok(accepted, `${split!.logRatio} nats, ${needed} needed`);
  });

  const shapes: [string, number[], number][] = [
    ['a Gaussian', normalRows(1, 2000, 2), 2],
    ['a square', uniform(3, 2000, 2), 2],
    ['a cube', uniform(5, 2000, 3), 3],
    ['t with 3 degrees of freedom', heavyTails(6, 2000, 2, 3), 2],
  ];
  for (const [name, values, d] of shapes)
    test(`${name} stays one`, () => {
      const { split, needed, accepted } = fromAbove(values, d);
      assert.ok(!accepted, `${split?.logRatio} nats for ${split?.T.length} parts, ${needed} needed`);
    });

  test('too few rows for so many have none', () =>
    assert.equal(fromAbove(normalRows(2, 300, 2), 2).split, null));
});

describe('soft evidence', () => {
  const { rows, d, n, start } = oneCluster(normalRows(3, 50, 2), 2);

  test('of hard assignments is that of the split', () => {
    const r = Float64Array.from({ length: 2 * n }, (_, p) => Number((p >> 1) % 2 === p % 2));
    const T = softStatistics(rows, d, r, 2, 'full');
    close(logSoftRatio(start, { T, entropy: 0 }, 10, 0.5), logSplitRatio(start, T, 10, 0.5), 1e-12);
  });

  test('counts the entropy of the assignments', () => {
    const same = { weight: 0.5, mean: new Float64Array(d), covariance: Float64Array.of(1, 0, 0, 1) };
    const { r, entropy } = responsibilities(rows, d, [same, same], 'full');
    for (const share of r) close(share, 0.5, 1e-12);
    close(entropy, n * Math.LN2, 1e-12);
    const T = softStatistics(rows, d, r, 2, 'full');
    const at = (zeta: number) => logSoftRatio(start, { T, entropy }, 10, zeta);
    close(at(0.5) - logSplitRatio(start, T, 10, 0.5), 0.5 * entropy, 1e-9);
  });

  test('responsibilities are those of the Gaussians', () => {
    const gaussians = [
      { weight: 0.3, mean: Float64Array.of(1, 0), covariance: Float64Array.of(2, 0.5, 0.5, 1) },
      { weight: 0.7, mean: Float64Array.of(0, -1), covariance: Float64Array.of(0.5, 0, 0, 3) },
    ];
    const { r } = responsibilities(rows, d, gaussians, 'full');
    for (let i = 0; i < n; i++) {
      const density = gaussians.map(({ weight, mean, covariance: [a, b, , c] }) => {
        const [x, y] = [rows[2 * i] - mean[0], rows[2 * i + 1] - mean[1]];
        const det = a * c - b * b;
        return (weight * Math.exp(-(c * x * x - 2 * b * x * y + a * y * y) / det / 2)) / Math.sqrt(det);
      });
      close(r[2 * i], density[0] / (density[0] + density[1]), 1e-9);
    }
  });
});

const WIDE = 48;

describe('clusters that differ more by their covariances than by their means', () => {
  const d = 24;
  const rowsEach = 400;
  /** Standard deviations of a cluster, wide in columns of its own. */
  const wide = (c: number, of: number) => Float64Array.from({ length: d }, (_, a) => (a % of === c ? 4 : 1));
  const rowsOf = (of: number) =>
    Array.from({ length: of }, (_, c) => {
      const sd = wide(c, of);
      return normalRows(50 + c, rowsEach, d).map((value, p) => sd[p % d] * value);
    }).flat();
  const sizes = (T: Float64Array[]) => T.map(([n]) => n);

  test('two are found', () => {
    const rng = generator(3n, 'x');
    const sds = [1, 1.3].map((scale) =>
      Float64Array.from({ length: WIDE }, () => scale * Math.exp(0.4 * rng.normal())),
    );
    const values = sds.flatMap((sd, c) =>
      Array.from({ length: 400 * WIDE }, (_, p) => 0.3 * c * ((p % 3) - 1) + sd[p % WIDE] * rng.normal()),
    );
    const { rows, priorOf } = oneCluster(values, WIDE);
    const split = bestSoftSplit(rows, priorOf, 10, 1, generator(1n, 't'))!;
    // Of starts by distances alone the best gains 211 nats.
    assert.ok(split.logRatio > 1000, `${split.logRatio}`);
    for (const n of sizes(split.T)) close(n, 400, 20);
  });

  test('of six that are two parts, each is split further', () => {
    const { rows, n, priorOf } = oneCluster(rowsOf(6), d);
    const r = Float64Array.from({ length: 2 * n }, (_, p) =>
      Math.floor(p / 2) < n / 2 === (p % 2 === 0) ? 1 : 0,
    );
    const T = softStatistics(rows, d, r, 2, 'full');
    const before = ratioOf({ T, entropy: 0 }, priorOf, 10, 1);
    const split = splitFurther(rows, { T, r, entropy: 0 }, priorOf, 10, 1, generator(1n, 'unlike'));
    assert.ok(split!.T.length >= 4 && split!.logRatio > before + 500, `${sizes(split!.T)}`);
  });
});

test('the same rows and seed give the same split', () => {
  const { rows, priorOf } = oneCluster(normalRows(4, 200, 3), 3);
  const once = () => bestSoftSplit(rows, priorOf, 10, 1, generator(3n, 'test'));
  assert.deepEqual(once(), once());
});

test('hard pieces of clusters are joined, and the unions know their pieces; those of different clusters stay apart', () => {
  const rows = normalRows(8, 400, 2);
  const pieces = [0, 1, 2, 3].map((c) => {
    const own = rows.slice(c * 200, (c + 1) * 200).map((value) => value + (c < 2 ? 0 : 8));
    return statisticsOf(own, 2, 'full');
  });
  const prior = niwPrior({
    mean: new Float64Array(2),
    kappa: 0.01,
    nu: 5,
    psi: Float64Array.of(2, 0, 0, 2),
    covariance: 'full',
  });
  const found = joinedHard(
    prior,
    [0, 2, 1, 3].map((i) => pieces[i]),
    10,
    1,
  );
  const sets = found.map(({ of }) => of.toSorted().join()).sort();
  assert.deepEqual(sets, ['0,2', '1,3']);
  for (const { t } of found) assert.equal(t[0], 200);
});
