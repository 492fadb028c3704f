import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { centresOf, distanceFrom } from '../../../model/description/distances.ts';
import { asDistance, columnKinds, movedKinds } from '../../../model/gaussian/columns.ts';
import { eStepOf } from '../../../model/gaussian/estep.ts';
import { logSplitRatio } from '../../../model/gaussian/hastings.ts';
import { mStep } from '../../../model/gaussian/mstep.ts';
import { gaussianPart, logMarginal, niwPrior, pointEstimate } from '../../../model/gaussian/niw.ts';
import { singleClusterGain } from '../../../model/gaussian/single-cluster.ts';
import { responsibilities } from '../../../model/gaussian/soft-split.ts';
import { discriminantAxes, shapeAxes } from '../../../model/gaussian/splits.ts';
import { minus } from '../../../model/linalg.ts';
import { generator } from '../../../model/random.ts';
import type { Covariance } from '../../../model/statistics.ts';
import { COVARIANCES, close, statisticsOf } from '../support.ts';

const D = 6;
const CONTINUOUS = [1, 4];
/** Column 0 has the values −2 and 3; columns 2, 3 and 5 say which of four categories a row has, as 0 or 2, less .5. */
const KINDS = columnKinds(D, [
  { columns: [0], low: [-2], step: [5] },
  { columns: [2, 5, 3], low: [-0.5, -0.5, -0.5], step: [2, 2, 2] },
]);

function priorOf(covariance: Covariance) {
  const psi = new Float64Array(covariance === 'full' ? D * D : D);
  const step = covariance === 'full' ? D + 1 : 1;
  for (let i = 0; i < D; i++) psi[i * step] = 1 + i;
  if (covariance === 'full') psi[1 * D + 4] = psi[4 * D + 1] = 0.7;
  const shape = { kappa: 0.1, nu: D + 3, covariance, estimate: 'mean' as const, kinds: KINDS };
  return niwPrior({ mean: new Float64Array(D).fill(0.2), psi, ...shape });
}

/** Rows, and by row: the value of column 0 as 0 or 1, the category from 0. */
function draw(n: number, seed: bigint, yes = 0.3, shares = [0.4, 0.3, 0.2, 0.1], at = 0) {
  const rng = generator(seed, 'columns');
  const flags = Array.from({ length: n }, () => (rng.uniform() < yes ? 1 : 0));
  const categories = flags.map(() => {
    let left = rng.uniform();
    return Math.max(
      0,
      shares.findIndex((share) => (left -= share) < 0),
    );
  });
  const rows = Float64Array.from(
    flags.flatMap((flag, i) => {
      const says = [1, 2, 3].map((category) => (categories[i] === category ? 1.5 : -0.5));
      return [5 * flag - 2, at + rng.normal(), says[0], says[2], at + rng.normal(), says[1]];
    }),
  );
  return { rows, flags, categories };
}

/** log p of counts one after the other, each by those before and half a row of each. */
function sequential(values: number[], count: number): number {
  const seen = new Float64Array(count);
  return values.reduce((sum, value, i) => sum + Math.log((seen[value]++ + 0.5) / (i + count / 2)), 0);
}

const continuousOf = (rows: Float64Array) => rows.filter((_, p) => CONTINUOUS.includes(p % D));

describe('columns that are not continuous', () => {
  for (const covariance of COVARIANCES) {
    const prior = priorOf(covariance);
    const statistics = (rows: Float64Array) => statisticsOf(rows, D, covariance);

    test(`the marginal is the Gaussian one of the others, times that of the counts (${covariance})`, () => {
      const { rows, flags, categories } = draw(40, 1n);
      const gaussian = logMarginal(
        gaussianPart(prior, KINDS),
        statisticsOf(continuousOf(rows), 2, covariance),
      );
      const expected = gaussian + sequential(flags, 2) + sequential(categories, 4);
      close(logMarginal(prior, statistics(rows)), expected, 1e-11);
      // About another point.
      const by = Float64Array.from({ length: D }, (_, i) => i - 2.5);
      const moved = { ...prior, mean: minus(prior.mean, by), kinds: movedKinds(KINDS, by) };
      close(logMarginal(moved, statistics(rows.map((value, p) => value - by[p % D]))), expected, 1e-10);
    });

    test(`the estimate has the moments of what it stands for (${covariance})`, () => {
      const { rows, flags } = draw(50, 2n);
      const fit = pointEstimate(prior, statistics(rows));
      const inner = pointEstimate(
        gaussianPart(prior, KINDS),
        statisticsOf(continuousOf(rows), 2, covariance),
      );
      assert.deepEqual(
        CONTINUOUS.map((i) => fit.mean[i]),
        [...inner.mean],
      );
      const share = (flags.filter(Boolean).length + 0.5) / 51;
      close([fit.mean[0], fit.covariance[0]], [5 * share - 2, 25 * share * (1 - share)], 1e-12);
      if (covariance === 'full') {
        assert.equal(fit.covariance[1 * D + 4], inner.covariance[1]);
        assert.equal(fit.covariance[0 * D + 1], 0);
      }
    });

    test(`E-step and responsibilities have its density (${covariance})`, () => {
      const parts = [draw(60, 3n), draw(30, 4n, 0.9, [0.05, 0.05, 0.1, 0.8], 1)];
      const mixture = mStep(
        prior,
        parts.map(({ rows }) => statistics(rows)),
        0,
      );
      const scale = Float64Array.from({ length: D }, (_, i) => 1 + i / 4);
      const { rows, flags, categories } = draw(30, 5n, 0.5);
      const gaussian = { ...mixture, d: 2, kinds: undefined };
      const full = (of: Float64Array) =>
        covariance === 'full'
          ? CONTINUOUS.flatMap((i) => CONTINUOUS.map((j) => of[i * D + j]))
          : CONTINUOUS.map((i) => of[i]);
      const inner = eStepOf(
        {
          ...gaussian,
          means: mixture.means.map((mean) => Float64Array.from(CONTINUOUS, (i) => mean[i])),
          covariances: mixture.covariances.map((own) => Float64Array.from(full(own))),
        },
        new Float64Array(2).fill(1),
        'cholesky',
      );
      const chosen = eStepOf(mixture, scale, 'cholesky');
      const densities = (form: typeof chosen, y: ArrayLike<number>, d: number, k: number) => {
        let sum = form.constant[k];
        for (let i = 0; i < d; i++) {
          let u = form.bias[k * d + i];
          for (let j = 0; j <= i; j++) u += form.weights[j * 2 * d + k * d + i] * y[j];
          sum -= (u * u) / 2;
        }
        return sum;
      };
      const counts = parts.map(({ flags, categories }) => ({
        yes: (flags.filter(Boolean).length + 0.5) / (flags.length + 1),
        of: [0, 1, 2, 3].map(
          (c) => (categories.filter((own) => own === c).length + 0.5) / (flags.length + 2),
        ),
      }));
      const { r } = responsibilities(
        rows,
        D,
        mixture.means.map((mean, k) => ({
          mean,
          covariance: mixture.covariances[k],
          weight: mixture.weights[k],
        })),
        covariance,
        KINDS,
      );
      for (const [i, flag] of flags.entries()) {
        const row = rows.subarray(i * D, (i + 1) * D);
        const expected = [0, 1].map(
          (k) =>
            densities(inner, continuousOf(row), 2, k) +
            Math.log(flag ? counts[k].yes : 1 - counts[k].yes) +
            Math.log(counts[k].of[categories[i]]),
        );
        const found = [0, 1].map((k) =>
          densities(
            chosen,
            row.map((value, j) => value / scale[j]),
            D,
            k,
          ),
        );
        // Up to a constant that all clusters and rows share: the scales of the columns.
        close(found[0] - found[1], expected[0] - expected[1], 1e-4);
        const ratio = Math.log(r[2 * i] / r[2 * i + 1]);
        close(ratio, expected[0] - expected[1], 1e-5);
        const first = densities(
          chosen,
          rows.subarray(0, D).map((value, j) => value / scale[j]),
          D,
          0,
        );
        const firstExpected = densities(inner, continuousOf(rows.subarray(0, D)), 2, 0);
        const others =
          Math.log(flags[0] ? counts[0].yes : 1 - counts[0].yes) + Math.log(counts[0].of[categories[0]]);
        close(found[0] - first, expected[0] - firstExpected - others, 1e-4);
      }
    });

    test(`a split by one of them gains nothing, one by several does (${covariance})`, () => {
      const { rows } = draw(2000, 6n);
      const byFlag = (yes: boolean) => statistics(rows.filter((_, p) => rows[p - (p % D)] > 0 === yes));
      assert.ok(logSplitRatio(prior, [byFlag(true), byFlag(false)], 10, 1) < -1);
      const [a, b] = [
        draw(1000, 7n, 0.9, [0.85, 0.05, 0.05, 0.05]),
        draw(1000, 8n, 0.1, [0.05, 0.05, 0.05, 0.85]),
      ];
      assert.ok(logSplitRatio(prior, [statistics(a.rows), statistics(b.rows)], 10, 1) > 100);
    });
  }

  test('distances: what a value is less likely than the most frequent one', () => {
    const { rows, flags } = draw(400, 9n, 0.02, [0.1, 0.1, 0.7, 0.1]);
    const prior = priorOf('full');
    const mixture = mStep(prior, [statisticsOf(rows, D, 'full')], 0);
    const own = asDistance(KINDS, { mean: mixture.means[0], covariance: mixture.covariances[0] }, 'full');
    const centres = centresOf(mixture);
    const at = own.mean.slice();
    close(distanceFrom(centres, 0, at), 0, 1e-3);
    at[0] = 3;
    const yes = (flags.filter(Boolean).length + 0.5) / 401;
    close(distanceFrom(centres, 0, at) ** 2, 2 * Math.log((1 - yes) / yes), 1e-3);
    // The most frequent category is that of column 5.
    assert.ok(distanceFrom(centres, 0, Float64Array.of(-2, 0, -0.5, -0.5, 0, 1.5)) < 1);
    assert.ok(distanceFrom(centres, 0, Float64Array.of(-2, 0, 1.5, -0.5, 0, -0.5)) > 1);
  });

  test('shapes and valleys are those of the continuous columns', () => {
    const prior = priorOf('full');
    const [a, b] = [draw(300, 10n, 0.9), draw(300, 11n, 0.1, undefined, 3)].map(({ rows }) =>
      statisticsOf(rows, D, 'full'),
    );
    const isOther = (_: number, i: number) => !CONTINUOUS.includes(i);
    for (const { axis } of discriminantAxes(prior, [a, b])) {
      assert.ok(axis.filter(isOther).every((value) => value === 0));
      assert.ok(axis.some((value) => value !== 0));
    }
    const F = Float64Array.from({ length: D * D }, (_, p) => (p % (D + 1) ? 0.1 : 1 + p));
    const inverse = Float64Array.from({ length: D * D }, (_, p) => (p % (D + 1) ? 0 : 1));
    const axes = shapeAxes(F, D, inverse, KINDS);
    assert.equal(axes.length, 2);
    for (const axis of axes) assert.ok(axis.filter(isOther).every((value) => value === 0));
    const { rows } = draw(500, 12n);
    const inner = gaussianPart(prior, KINDS);
    assert.equal(singleClusterGain(rows, prior, 500), singleClusterGain(continuousOf(rows), inner, 500));
  });

  for (const covariance of COVARIANCES)
    test(`a column with a spike: the others' Gaussian and the share of rows that have them (${covariance})`, () => {
      const at = -1.5;
      const kinds = columnKinds(3, [{ columns: [2], low: [-0.6], step: [2] }], [{ column: 1, flag: 2, at }]);
      const full = covariance === 'full';
      const prior = niwPrior({
        ...{ mean: Float64Array.of(0.1, 0.3, 0), kappa: 0.2, nu: 6, covariance, kinds, estimate: 'mean' },
        psi: full ? Float64Array.of(2, 0, 0, 0, 3, 0, 0, 0, 1) : Float64Array.of(2, 3, 1),
      });
      const rng = generator(13n, 'spike');
      const draw = (n: number, share: number, mean: number) =>
        Array.from({ length: n }, () => {
          const has = rng.uniform() < share;
          return [rng.normal(), has ? mean + rng.normal() : at, has ? 1.4 : -0.6];
        });
      const statistics = (rows: number[][]) => statisticsOf(Float64Array.from(rows.flat()), 3, covariance);
      const [a, b] = [draw(60, 0.3, 1), draw(40, 0.8, 3)];
      const others = (rows: number[][]) => rows.filter((row) => row[2] > 0);
      const priorOfColumn = (i: number) =>
        niwPrior({
          ...{ mean: prior.mean.slice(i, i + 1), kappa: 0.2, nu: 4, covariance, estimate: 'mean' },
          psi: Float64Array.of(prior.psi[full ? 4 * i : i]),
        });
      const column = (rows: number[][], i: number) =>
        statisticsOf(
          Float64Array.from(rows, (row) => row[i]),
          1,
          covariance,
        );
      const expected =
        logMarginal(priorOfColumn(0), column(a, 0)) +
        logMarginal(priorOfColumn(1), column(others(a), 1)) +
        sequential(
          a.map((row) => Number(row[2] > 0)),
          2,
        );
      close(logMarginal(prior, statistics(a)), expected, 1e-10);
      const mixture = mStep(prior, [statistics(a), statistics(b)], 0);
      const { r } = responsibilities(
        Float64Array.from(a.flat()),
        3,
        [0, 1].map((k) => ({
          mean: mixture.means[k],
          covariance: mixture.covariances[k],
          weight: mixture.weights[k],
        })),
        covariance,
        kinds,
      );
      const fits = [a, b].map((rows) => ({
        weight: rows.length / 100,
        of: [
          pointEstimate(priorOfColumn(0), column(rows, 0)),
          pointEstimate(priorOfColumn(1), column(others(rows), 1)),
        ],
        share: (others(rows).length + 0.5) / (rows.length + 1),
      }));
      const normal = (x: number, { mean: [m], covariance: [v] }: (typeof fits)[0]['of'][0]) =>
        -(Math.log(v) + (x - m) ** 2 / v) / 2;
      for (const [i, row] of a.entries()) {
        const [first, second] = fits.map(
          ({ weight, of, share }) =>
            Math.log(weight) +
            normal(row[0], of[0]) +
            (row[2] > 0 ? Math.log(share) + normal(row[1], of[1]) : Math.log(1 - share)),
        );
        close(r[2 * i], 1 / (1 + Math.exp(second - first)), 1e-9);
      }
    });

  test('all of them', () => {
    const kinds = columnKinds(
      3,
      [0, 1, 2].map((i) => ({ columns: [i], low: [0], step: [1] })),
    );
    const prior = niwPrior({
      ...{ mean: new Float64Array(3), kappa: 0.1, nu: 5, covariance: 'full', kinds },
      psi: Float64Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
    });
    const values = [0, 1, 1, 0, 1];
    const T = statisticsOf(Float64Array.from(values.flatMap((v) => [v, 1 - v, v])), 3, 'full');
    close(logMarginal(prior, T), 3 * sequential(values, 2), 1e-12);
    assert.equal(singleClusterGain(new Float64Array(9), prior, 3), 0);
    close(pointEstimate(prior, T).mean, [3.5 / 6, 2.5 / 6, 3.5 / 6], 1e-12);
  });
});
