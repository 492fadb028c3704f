import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { scaledColumns } from '../../data/steps/linear.ts';
import { normalizeRows } from '../../data/steps/unit.ts';
import { applyRowSteps, type Moments, modelRows, type Transform } from '../../data/transform.ts';
import { pcaAxes, pcaShare, type TransformChoice } from '../../data/transform-choice.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { close, forAll, normals } from '../model/support.ts';
import { refuses } from './files.ts';

type Matrix = number[][];
const DIM = 4;
const N = 200;

/** Correlated columns of different scales, not centred. */
const next = normals(5);
const ROWS: Matrix = Array.from({ length: N }, () => {
  const [a, b, c, d] = [next(), next(), next(), next()];
  return [3 + a, -50 + 20 * b + 10 * a, 0.01 * c, 7 + 0.5 * d - 0.4 * b].map(Math.fround);
});

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const column = (rows: Matrix, d: number) => rows.map((row) => row[d]);
const mean = (values: number[]) => sum(values) / values.length;
function covarianceOf(a: number[], b: number[]): number {
  const [p, q] = [mean(a), mean(b)];
  return sum(a.map((v, i) => (v - p) * (b[i] - q))) / (a.length - 1);
}
const sd = (values: number[]) => Math.sqrt(covarianceOf(values, values));

function momentsOf(rows: Matrix, diagonal = false): Moments {
  const columns = rows[0].map((_, d) => column(rows, d));
  const covariance = diagonal
    ? columns.map((c) => covarianceOf(c, c))
    : columns.flatMap((a) => columns.map((b) => covarianceOf(a, b)));
  return {
    rows: rows.length,
    mean: Float64Array.from(columns, mean),
    covariance: Float64Array.from(covariance),
    min: Float64Array.from(columns, (c) => Math.min(...c)),
    max: Float64Array.from(columns, (c) => Math.max(...c)),
  };
}

const flat = (rows: Matrix) => Float32Array.from(rows.flat());
const unit = (rows: Matrix) => rows.map((row) => row.map((v) => v / Math.hypot(...row)));

/** y of raw rows: the input of the networks. */
function apply(transform: Transform, rows: Matrix): Float32Array {
  const raw = flat(rows);
  applyRowSteps(transform, raw);
  if (transform.columns) return scaledColumns(transform, transform.columns, raw);
  const { input, dim, weights, bias } = transform;
  return Float32Array.from({ length: rows.length * dim }, (_, p) => {
    const [i, j] = [Math.floor(p / dim), p % dim];
    let value = bias[j];
    for (let d = 0; d < input; d++) value += raw[i * input + d] * weights[d * dim + j];
    return value;
  });
}

/** The formula of each choice, per column. */
const FORMULAS: Record<string, (values: number[]) => number[]> = {
  none: (values) => values,
  center: (values) => values.map((v) => v - mean(values)),
  normalize: (values) => values,
  standard: (values) => values.map((v) => (v - mean(values)) / sd(values)),
  'min-max': (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return values.map((v) => (v - low) / (high - low));
  },
  'min-max-global': (values) => {
    const [low, high] = [Math.min(...ROWS.flat()), Math.max(...ROWS.flat())];
    return values.map((v) => (v - low) / (high - low));
  },
};

describe('transforms', () => {
  for (const [choice, formula] of Object.entries(FORMULAS))
    test(`${choice}: y has mean 0 and variance 1, and x + offset equals the formula`, () => {
      const rows = choice === 'normalize' ? unit(ROWS) : ROWS;
      const { transform, covariance } = planTransform(choice as TransformChoice, momentsOf(rows));
      assert.deepEqual([transform.dim, transform.input], [DIM, DIM]);
      assert.equal(transform.normalize, choice === 'normalize');
      const y = apply(transform, ROWS);
      const x = modelRows(transform, y);
      const expected = rows[0].map((_, d) => formula(column(rows, d)));
      for (let d = 0; d < DIM; d++) {
        const of = (values: Float32Array) => [...values].filter((_, p) => p % DIM === d);
        // A column whose mean is many standard deviations from 0 loses that much precision in float32.
        const tolerance = 1e-6 * (1 + Math.abs(mean(column(rows, d))) / sd(column(rows, d)));
        close(mean(of(y)), 0, tolerance);
        close(sd(of(y)), 1, tolerance);
        const size = sd(expected[d]);
        const values = of(x).map((v) => (v + transform.offset[d]) / size);
        close(
          values,
          expected[d].map((v) => v / size),
          tolerance,
        );
      }
      const own = expected.flatMap((a) => expected.map((b) => covarianceOf(a, b)));
      close(covariance, own, 1e-12);
    });

  test('a diagonal covariance stays diagonal', () => {
    for (const choice of Object.keys(FORMULAS) as TransformChoice[]) {
      const full = planTransform(choice, momentsOf(ROWS));
      const diagonal = planTransform(choice, momentsOf(ROWS, true));
      assert.deepEqual(diagonal.transform, full.transform);
      const expected = full.covariance.filter((_, p) => p % (DIM + 1) === 0);
      close(diagonal.covariance, expected, 1e-14);
    }
  });

  test('pca: x are coordinates along the principal axes, y whitened', () => {
    for (const axes of [1, 2, 4]) {
      const { transform, covariance } = planTransform(`pca:${axes}`, momentsOf(ROWS));
      assert.deepEqual([transform.columns, transform.dim, transform.input], [null, axes, DIM]);
      const y = apply(transform, ROWS);
      const x = modelRows(transform, y);
      const of = (values: Float32Array, a: number) => [...values].filter((_, p) => p % axes === a);
      let before = Infinity;
      for (let a = 0; a < axes; a++) {
        close(mean(of(y, a)), 0, 1e-4);
        for (let b = 0; b < axes; b++) {
          // The smallest axis is a thousandth of the data's size.
          close(covarianceOf(of(y, a), of(y, b)), a === b ? 1 : 0, 2e-3);
          close(covariance[a * axes + b], a === b ? transform.scale[a] ** 2 : 0, 1e-12);
        }
        const variance = covarianceOf(of(x, a), of(x, a));
        close(variance / covariance[a * axes + a], 1, 4e-3);
        assert.ok(variance < before);
        before = variance;
      }
      assert.deepEqual([...transform.offset], Array(axes).fill(0));
    }
    // All axes together keep the total variance, and distances.
    const { transform, covariance } = planTransform('pca:4', momentsOf(ROWS));
    const total = sum(ROWS[0].map((_, d) => covarianceOf(column(ROWS, d), column(ROWS, d))));
    close(sum([...covariance].filter((_, p) => p % 5 === 0)), total, 1e-12);
    const x = modelRows(transform, apply(transform, ROWS));
    for (const [i, j] of [
      [0, 1],
      [5, 100],
      [7, 199],
    ]) {
      const apart = Math.hypot(...x.slice(4 * i, 4 * i + 4).map((v, d) => v - x[4 * j + d]));
      close(apart, Math.hypot(...ROWS[i].map((v, d) => v - ROWS[j][d])), 1e-4);
    }
  });

  test('pca of a share: the fewest axes whose eigenvalues add up to it', () => {
    const { covariance } = planTransform('pca:4', momentsOf(ROWS));
    const values = [...covariance].filter((_, p) => p % 5 === 0);
    const shareOf = (axes: number) => sum(values.slice(0, axes)) / sum(values);
    for (const axes of [1, 2, 3]) {
      const counted = planTransform(`pca:${axes}`, momentsOf(ROWS));
      const share = shareOf(axes);
      assert.deepEqual(planTransform(`pca:${share * (1 - 1e-9)}`, momentsOf(ROWS)), counted);
      const more = planTransform(`pca:${share + 1e-9 * (1 - share)}`, momentsOf(ROWS));
      assert.equal(more.transform.dim, axes + 1);
    }
  });

  test('pcaAxes, pcaShare', () => {
    const choices = ['pca:10', 'pca:1', 'pca:0.95', 'pca:.5', 'center', 'none'] as TransformChoice[];
    assert.deepEqual(choices.map(pcaAxes), [10, 1, null, null, null, null]);
    assert.deepEqual(choices.map(pcaShare), [null, null, 0.95, 0.5, null, null]);
  });
});

describe('columns that do not vary', () => {
  const rows = ROWS.map(([a, b, c, d]) => [a, 5, b, c, 0, d]);

  test('are dropped', () => {
    for (const choice of ['center', 'none', 'standard', 'min-max'] as TransformChoice[]) {
      const { transform, covariance } = planTransform(choice, momentsOf(rows));
      const without = planTransform(choice, momentsOf(ROWS));
      assert.deepEqual([transform.dim, transform.input], [DIM, 6]);
      assert.deepEqual([...transform.columns!], [0, 2, 3, 5]);
      assert.deepEqual(apply(transform, rows), apply(without.transform, ROWS));
      assert.deepEqual(covariance, without.covariance);
      assert.deepEqual(transform.offset, without.transform.offset);
    }
  });

  test('all columns constant: throws', async () => {
    const same = ROWS.map(() => [1, 2, 3, 4]);
    for (const choice of ['center', 'pca:1'] as TransformChoice[])
      await refuses(() => planTransform(choice, momentsOf(same)), 'all 200 rows are equal');
  });
});

test('more axes than the data span', () => {
  const flatRows = ROWS.map(([a, b]) => [a, b, a + b, a - b]);
  return refuses(() => planTransform('pca:3', momentsOf(flatRows)), 'span only 2 dimensions', 'use pca:2');
});

describe('normalize', () => {
  test('rows have unit length; rows of zeros do not change', () => {
    forAll(
      [fc.array(fc.float({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 3, maxLength: 30 })],
      (values) => {
        const raw = Float32Array.from(values.slice(0, 3 * Math.floor(values.length / 3)));
        const rows = raw.slice();
        normalizeRows(rows, 3);
        for (let o = 0; o < rows.length; o += 3) {
          const size = Math.hypot(...raw.subarray(o, o + 3));
          if (size === 0) assert.deepEqual(rows.subarray(o, o + 3), raw.subarray(o, o + 3));
          else
            close(
              rows.subarray(o, o + 3),
              [...raw.subarray(o, o + 3)].map((v) => v / size),
              1e-7,
            );
        }
      },
    );
  });
});

describe('the steps before the linear map', () => {
  const NO_STEPS = { fences: null, scale: new Float64Array(0), offset: new Float64Array(0) };
  const finite = (most: number) => fc.float({ noNaN: true, min: -most, max: most });

  test('moves columns, with a float32 product and then a float32 sum, before it scales rows', () => {
    forAll([finite(1e9), finite(2 ** 20), finite(1e9)], (value, by, plus) => {
      const before = { factor: Float32Array.of(by, 1), shift: Float32Array.of(plus, -3) };
      const moved = Float32Array.of(Math.fround(Math.fround(value) * Math.fround(by)) + Math.fround(plus), 4);
      const rows = Float32Array.of(value, 7);
      applyRowSteps({ ...NO_STEPS, before, normalize: false, input: 2 }, rows);
      assert.deepEqual(rows, moved);
      const scaled = Float32Array.of(value, 7);
      applyRowSteps({ ...NO_STEPS, before, normalize: true, input: 2 }, scaled);
      normalizeRows(moved, 2);
      assert.deepEqual(scaled, moved);
    });
  });
});

test('columns are applied as a Dense layer computes them: a float32 product, then a float32 sum', () => {
  const planned = planTransform('center', momentsOf(ROWS)).transform;
  forAll(
    [
      fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }),
      fc.float({ noNaN: true, min: 2 ** -20, max: 2 ** 20 }),
      fc.float({ noNaN: true, min: -1e9, max: 1e9 }),
    ],
    (value, weight, bias) => {
      const transform = {
        ...planned,
        dim: 2,
        columns: Int32Array.of(3, 0),
        weights: Float32Array.of(weight, 1),
        bias: Float32Array.of(bias, 0.25),
      };
      const product = Math.fround(value * weight);
      assert.deepEqual(
        scaledColumns(transform, transform.columns, Float32Array.of(0.5, NaN, NaN, value)),
        Float32Array.of(Math.fround(product + Math.fround(bias)), 0.75),
      );
    },
  );
});
