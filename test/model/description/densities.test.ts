import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { densitiesByGaussians, densitiesByOutputs } from '../../../model/description/densities.ts';
import { centresOf } from '../../../model/description/distances.ts';
import { columnKinds } from '../../../model/gaussian/columns.ts';
import { densitiesOf } from '../../../model/gaussian/densities.ts';
import { eStepOf } from '../../../model/gaussian/estep.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { generator } from '../../../model/random.ts';
import { COVARIANCES, close } from '../support.ts';

const D = 4;
/** Column 1 has the values 0 and 2; column 3 is 5 in rows in which column 1 is 0. */
const KINDS = columnKinds(D, [{ columns: [1], low: [0], step: [2] }], [{ column: 3, flag: 1, at: 5 }]);
const SCALE = Float64Array.of(2, 1, 0.5, 3);

/** Of rows of two numbers that are correlated, one of two values, and a Gaussian. */
function mixtureOf(covariance: 'full' | 'diag', hasKinds: boolean): Mixture {
  const of = (a: number, flag: number, c: number, last: number, both: number) =>
    covariance === 'full'
      ? Float64Array.of(a, 0, both, 0, 0, flag, 0, 0, both, 0, c, 0, 0, 0, 0, last)
      : Float64Array.of(a, flag, c, last);
  return {
    ...{ k: 3, d: D, covariance },
    weights: Float64Array.of(0.5, 0.3, 0.2),
    means: [
      [0, 0.6, 1, 6],
      [3, 1.6, -1, 7],
      [-4, 1, 0, 5.5],
    ].map((mean) => Float64Array.from(mean)),
    covariances: [of(1, 0.84, 2, 0.5, 0.4), of(0.2, 0.64, 0.3, 1, -0.1), of(3, 1, 1, 2, 1)],
    ...(hasKinds && { kinds: KINDS }),
  };
}

const normal = (x: number, mean: number, variance: number) =>
  -((x - mean) ** 2 / variance + Math.log(2 * Math.PI * variance)) / 2;

/** By the definition. A row at the spike counts as at the density 1/√2π of it. */
function direct({ covariance, weights, means, covariances, kinds }: Mixture, x: number[]): number {
  const densities = means.map((mean, k) => {
    const v = (i: number, j: number) => {
      if (covariance === 'full') return covariances[k][i * D + j];
      return i === j ? covariances[k][i] : 0;
    };
    const slope = v(0, 2) / v(0, 0);
    let sum = Math.log(weights[k]) + normal(x[0], mean[0], v(0, 0));
    sum += normal(x[2], mean[2] + slope * (x[0] - mean[0]), v(2, 2) - slope * v(0, 2));
    if (!kinds) return sum + normal(x[1], mean[1], v(1, 1)) + normal(x[3], mean[3], v(3, 3));
    const share = mean[1] / 2;
    if (x[1] === 2) return sum + Math.log(share) + normal(x[3], mean[3], v(3, 3));
    return sum + Math.log(1 - share) - Math.log(2 * Math.PI) / 2;
  });
  const most = Math.max(...densities);
  return most + Math.log(densities.reduce((total, one) => total + Math.exp(one - most), 0));
}

function rowsOf(hasKinds: boolean): number[][] {
  const { uniform } = generator(3n, 'densities');
  return Array.from({ length: 200 }, () => {
    const isAt = uniform() < 0.5;
    const [first, third, last] = [12 * uniform() - 7, 8 * uniform() - 4, 4 + 4 * uniform()];
    return hasKinds ? [first, isAt ? 0 : 2, third, isAt ? 5 : last] : [first, uniform(), third, last];
  });
}

for (const covariance of COVARIANCES)
  describe(covariance, () => {
    for (const hasKinds of [false, true]) {
      const mixture = mixtureOf(covariance, hasKinds);
      const centres = centresOf(mixture);
      const rows = rowsOf(hasKinds);
      const expected = rows.map((row) => direct(mixture, row));
      const title = hasKinds ? ', with columns that are not continuous' : '';

      test(`by Gaussians, from whatever cluster they begin with${title}`, () => {
        const by = densitiesOf(mixture, centres, { scale: SCALE, byMixture: false });
        assert.ok('constants' in by);
        const x = Float32Array.from(rows.flat());
        for (const first of [0, 1, 2])
          close(densitiesByGaussians(by, x, new Int32Array(rows.length).fill(first)), expected, 1e-4);
      });

      test(`by the outputs of the mixture, which are of scaled rows${title}`, () => {
        const by = densitiesOf(mixture, centres, { scale: SCALE, byMixture: true });
        assert.ok('offset' in by);
        const { weights, bias, constant } = eStepOf(mixture, SCALE, 'cholesky');
        const outputs = rows.flatMap((row) =>
          Array.from(constant, (own, k) => {
            let density = own;
            for (let i = 0; i < D; i++) {
              let u = bias[k * D + i];
              for (let j = 0; j <= i; j++) u += (row[j] / SCALE[j]) * weights[j * 3 * D + k * D + i];
              density -= (u * u) / 2;
            }
            return density;
          }),
        );
        close(densitiesByOutputs(Float32Array.from(outputs), 3, by.offset), expected, 1e-4);
      });
    }

    test('a row that is too far for float32 has the least number of it', () => {
      const by = densitiesOf(mixtureOf(covariance, false), centresOf(mixtureOf(covariance, false)), {
        ...{ scale: SCALE, byMixture: false },
      });
      assert.ok('constants' in by);
      const least = -(2 ** 128 - 2 ** 104);
      assert.deepEqual([...densitiesByGaussians(by, Float32Array.of(3e38, 0, 3e38, 0), [0])], [least]);
      assert.deepEqual([...densitiesByOutputs(Float32Array.of(-Infinity, -Infinity), 2, 0)], [least]);
      assert.deepEqual([...densitiesByOutputs(Float32Array.of(Number.NaN, 0), 2, 0)], [least]);
    });
  });
