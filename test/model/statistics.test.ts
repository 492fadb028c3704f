import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addRows,
  addStatistics,
  mean,
  scaleStatistics,
  scatter,
  shift,
  statisticsLength,
  unscale,
} from '../../model/statistics.ts';
import { COVARIANCES, close, forAll, rowsArbitrary, statisticsOf } from './support.ts';

describe('statistics', () => {
  test('the layout is that of φ(x) = (1, x, vech(xxᵀ)), or (1, x, x²)', () => {
    assert.deepEqual([...statisticsOf([2, 3, 5], 3, 'full')], [1, 2, 3, 5, 4, 6, 10, 9, 15, 25]);
    assert.deepEqual([...statisticsOf([2, 3, 5], 3, 'diag')], [1, 2, 3, 5, 4, 9, 25]);
    assert.equal(statisticsLength(10, 'full'), 66);
    assert.equal(statisticsLength(10, 'diag'), 21);
  });

  for (const cov of COVARIANCES) {
    test(`mean and scatter are those of the rows (${cov})`, () => {
      forAll([rowsArbitrary(1, 12)], ({ d, rows }) => {
        const T = statisticsOf(rows, d, cov);
        const n = rows.length / d;
        const column = (i: number) => rows.filter((_, p) => p % d === i);
        const centre = Array.from({ length: d }, (_, i) => column(i).reduce((a, b) => a + b, 0) / n);
        const co = (i: number, j: number) =>
          column(i).reduce((sum, v, r) => sum + (v - centre[i]) * (column(j)[r] - centre[j]), 0);
        const expected =
          cov === 'full'
            ? Array.from({ length: d * d }, (_, p) => co(Math.floor(p / d), p % d))
            : Array.from({ length: d }, (_, i) => co(i, i));
        close(mean(T, d), centre, 1e-12);
        close(scatter(T, d, cov), expected, 1e-10);
      });
    });

    test(`some rows by their numbers, with weights (${cov})`, () => {
      forAll([rowsArbitrary(1, 12)], ({ d, rows }) => {
        const n = rows.length / d;
        const numbers = Int32Array.from({ length: n + 3 }, (_, i) => (5 * i) % n);
        const weights = Float64Array.from(numbers, (_, i) => 0.5 + i);
        const T = new Float64Array(statisticsLength(d, cov));
        addRows(T, Float64Array.from(rows), d, cov, numbers, weights);
        const chosen = [...numbers].flatMap((i) => rows.slice(i * d, i * d + d));
        close(T, statisticsOf(chosen, d, cov, [...weights]), 1e-12);
      });
    });

    test(`statistics of a union are sums, and weights scale them (${cov})`, () => {
      forAll([rowsArbitrary(2, 12), fc.double({ min: 0, max: 1, noNaN: true })], ({ d, rows }, where) => {
        const cut = d * Math.floor((where * rows.length) / d);
        const [a, b] = [rows.slice(0, cut), rows.slice(cut)].map((part) => statisticsOf(part, d, cov));
        const all = statisticsOf(rows, d, cov);
        close(addStatistics(a, b), all, 1e-12);
        const weights = new Array(rows.length / d).fill(where);
        close(scaleStatistics(all, where), statisticsOf(rows, d, cov, weights), 1e-12);
      });
    });

    test(`shift and unscale equal moving and scaling the rows (${cov})`, () => {
      forAll([rowsArbitrary(0, 12)], ({ d, rows }) => {
        const by = Float64Array.from({ length: d }, (_, i) => 3.5 * i - 4);
        const scale = Float64Array.from({ length: d }, (_, i) => 0.25 + i);
        const T = statisticsOf(rows, d, cov);
        const moved = rows.map((v, p) => v + by[p % d]);
        const scaled = rows.map((v, p) => v * scale[p % d]);
        close(shift(T, d, cov, by), statisticsOf(moved, d, cov), 1e-11);
        close(unscale(T, scale, cov), statisticsOf(scaled, d, cov), 1e-12);
      });
    });
  }
});
