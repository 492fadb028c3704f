import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromRaw, type Transform } from '../../data/transform.ts';
import { featureColumns, planFeatures } from '../../data/transform-plan.ts';
import { close, normals } from '../model/support.ts';
import { refuses } from './files.ts';

type Matrix = number[][];
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const column = (rows: Matrix, d: number) => rows.map((row) => row[d]);
const mean = (values: number[]) => sum(values) / values.length;
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
function covarianceOf(a: number[], b: number[]): number {
  const [p, q] = [mean(a), mean(b)];
  return sum(a.map((v, i) => (v - p) * (b[i] - q))) / (a.length - 1);
}
const sd = (values: number[]) => Math.sqrt(covarianceOf(values, values));

/** u of rows, in float64: (row − centre)·factor, scaled to unit length. */
const unit = (rows: Matrix, centre: number[], factor: number[]): Matrix =>
  rows.map((row) => {
    const moved = row.map((v, d) => (v - centre[d]) * factor[d]);
    const size = Math.hypot(...moved);
    return moved.map((v) => (size > 0 ? v / size : 0));
  });

/** What is planned for rows, and their u. */
function plan(rows: Matrix, axes: number, factorOf = (values: number[]) => 1 / sd(values)) {
  const columns = rows[0].map((_, d) => column(rows, d));
  const kept = [...columns.keys()].filter((d) => new Set(columns[d]).size > 1);
  const centre = columns.map(mean);
  const factor = columns.map((values, d) => (kept.includes(d) ? factorOf(values) : 0));
  const u = unit(rows, centre, factor);
  const unitColumns = rows[0].map((_, d) => column(u, d));
  return {
    u,
    centre,
    factor,
    ...planFeatures({
      centre: Float64Array.from(centre),
      factor: Float64Array.from(columns, factorOf),
      kept,
      mean: Float64Array.from(unitColumns, mean),
      covariance: Float64Array.from(unitColumns.flatMap((a) => unitColumns.map((b) => covarianceOf(a, b)))),
      axes,
      fences: null,
    }),
  };
}

/** y of raw rows, as all programs compute it. */
function apply(transform: Transform, rows: Matrix): Matrix {
  const y = fromRaw(transform, Float32Array.from(rows.flat()));
  return rows.map((_, i) => [...y.subarray(i * transform.dim, (i + 1) * transform.dim)]);
}

/** Correlated columns of very unlike units, off the origin; the third does not vary. */
const next = normals(8);
const ROWS: Matrix = times(300, (i) => {
  const [a, b, c, d] = [next(), next(), next(), next()];
  const row = [30 + 4 * a, -2000 + 800 * (b + (i % 3)), 12.5, 0.003 * (c - 0.5 * a), 0.1 * d + 0.2 * (i % 2)];
  return row.map(Math.fround);
});
const VARYING = 4;

describe('planFeatures', () => {
  for (const axes of [2, VARYING])
    test(`y are coordinates of unit rows along ${axes} axes, with one standard deviation for all`, () => {
      const { transform, eigenvalues, u } = plan(ROWS, axes);
      assert.deepEqual([transform.input, transform.dim, transform.columns], [5, axes, null]);
      assert.equal(transform.normalize, true);
      assert.deepEqual([...transform.offset], Array(axes).fill(0));
      const s = Math.sqrt(mean([...eigenvalues]));
      assert.deepEqual([...transform.scale], Array(axes).fill(s));
      const y = apply(transform, ROWS);
      const centred = u.map((row) => row.map((v, d) => v - mean(column(u, d))));
      for (let a = 0; a < axes; a++) {
        close(mean(column(y, a)), 0, 1e-6);
        for (let b = 0; b < axes; b++)
          close(covarianceOf(column(y, a), column(y, b)), a === b ? eigenvalues[a] / s ** 2 : 0, 1e-6);
        const axis = times(5, (d) => transform.weights[d * axes + a] * s);
        close(Math.hypot(...axis), 1, 1e-6);
        close(
          column(y, a),
          centred.map((row) => sum(row.map((v, d) => v * axis[d])) / s),
          2e-6,
        );
        // An eigenvector of the covariance of the u.
        for (let d = 0; d < 5; d++)
          close(
            sum(axis.map((v, e) => v * covarianceOf(column(u, d), column(u, e)))),
            eigenvalues[a] * axis[d],
            1e-6,
          );
        assert.ok(a === 0 || eigenvalues[a] < eigenvalues[a - 1]);
      }
      close(mean(times(axes, (a) => covarianceOf(column(y, a), column(y, a)))), 1, 1e-6);
    });

  test('a column that did not vary does not count, whatever it is in other rows', () => {
    const { transform } = plan(ROWS, VARYING);
    assert.deepEqual([transform.before!.factor[2], transform.before!.shift[2]], [0, 0]);
    assert.deepEqual(
      apply(
        transform,
        ROWS.map((row, i) => row.with(2, i % 2 ? -1e9 : 7)),
      ),
      apply(transform, ROWS),
    );
    const rest = ROWS.map((row) => row.toSpliced(2, 1));
    const without = plan(rest, VARYING).transform;
    assert.equal(without.dim, transform.dim);
    close(apply(transform, ROWS).flat(), apply(without, rest).flat(), 1e-5);
  });

  test('no axes along which the data do not extend', () => {
    // On a plane, or a line, in five dimensions.
    const at = (...along: number[]) =>
      times(5, (d) => Math.fround(along[0] * (d + 1) + (along[1] ?? 0) * (d % 2)));
    const one = () => 1;
    for (const [count, axes] of [
      [2, 64],
      [2, 2],
      [1, 64],
    ])
      assert.equal(
        plan(
          times(100, () => at(...times(count, next))),
          axes,
          one,
        ).transform.dim,
        count,
      );
  });

  test('a row at the centre is finite, and rows that are all equal are refused', async () => {
    const { transform, centre } = plan(ROWS, 2, () => 1);
    const exact = transform.before!.shift.map((shift) => -shift);
    exact[2] = centre[2];
    const [y] = apply(transform, [[...exact]]);
    close(y, [...transform.bias], 0);
    await refuses(
      () =>
        plan(
          ROWS.map(() => ROWS[0]),
          2,
        ),
      'all rows are equal',
    );
  });
});

test('featureColumns: the centre is moved to 0, by the rounded factor', () => {
  const [centre, factor] = [Float64Array.of(1e6, -3, 0, 5), Float64Array.of(0.1, 1, 7, 1)];
  const map = featureColumns(centre, factor, [0, 1, 2]);
  assert.deepEqual(map.factor, Float32Array.of(0.1, 1, 7, 0));
  assert.deepEqual(map.shift, Float32Array.of(-1e6 * Math.fround(0.1), 3, 0, 0));
  assert.ok(Object.is(map.shift[2], 0));
});
