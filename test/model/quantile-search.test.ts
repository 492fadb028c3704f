import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  areFound,
  binShift,
  bulkOf,
  type KeyRanges,
  keyOf,
  narrowed,
  numberOf,
  wholeRanges,
} from '../../model/quantile-search.ts';
import { QUANTILES } from '../../model/widths.ts';
import { normals } from './support.ts';

const NUMBERS = [-3.4e38, -1e18, -1.5, -1, -1e-45, 0, 1e-45, 0.5, 1, 1 + 2 ** -23, 2, 1e18, 3.4e38].map(
  Math.fround,
);

test('keys have the order of their numbers, and lead back to them', () => {
  for (const [i, value] of NUMBERS.entries()) {
    assert.equal(numberOf(keyOf(value)), value);
    if (i) assert.ok(keyOf(NUMBERS[i - 1]) < keyOf(value), `${NUMBERS[i - 1]} < ${value}`);
  }
  assert.equal(keyOf(-0), keyOf(0));
  assert.equal(keyOf(1 + 2 ** -23), keyOf(1) + 1);
});

/** What rounds of histograms find in these columns, and how many there were. */
function search(columns: number[][], bins = 256): { ranges: KeyRanges; rounds: number } {
  const min = columns.map((values) => values.reduce((a, b) => Math.min(a, b)));
  const max = columns.map((values) => values.reduce((a, b) => Math.max(a, b)));
  let ranges = wholeRanges(min, max);
  let rounds = 0;
  for (; !areFound(ranges); rounds++) {
    assert.ok(rounds < 33);
    const counts = new Float64Array(ranges.from.length * bins);
    ranges.from.forEach((from, i) => {
      const to = ranges.to[i];
      for (const value of columns[Math.floor(i / QUANTILES.length)]) {
        const key = keyOf(value);
        if (key >= from && key <= to)
          counts[i * bins + Math.floor((key - from) / 2 ** binShift(from, to, bins))]++;
      }
    });
    ranges = narrowed(ranges, counts, bins, columns[0].length);
  }
  return { ranges, rounds };
}

describe('the bulk of a column', () => {
  const next = normals(5);
  const gauss = Array.from({ length: 4000 }, () => Math.fround(next()));

  for (const bins of [4, 256])
    test(`by quartiles, however far off some rows are, with ${bins} bins`, () => {
      const far = gauss.map((value, i) => (i < 6 ? Math.fround((i % 2 ? -1 : 1) * 10 ** (3 * i)) : value));
      const near = gauss.map((value) => Math.fround(1000 + value));
      const { ranges, rounds } = search([gauss, far, near], bins);
      assert.ok(rounds <= (bins === 256 ? 4 : 16), `${rounds} rounds`);
      for (const [column, centre] of [0, 0, 1000].entries()) {
        const { low, high, spread } = bulkOf(ranges, column)!;
        assert.ok(Math.abs(low - centre + 0.674) < 0.06 && Math.abs(high - centre - 0.674) < 0.06);
        assert.equal(spread, high - low);
      }
    });

  test('by outer quantiles, in the unit of quartiles, where these are equal', () => {
    const rare = gauss.map((value, i) => (i % 10 ? 0 : value));
    const { low, high, spread } = bulkOf(search([rare]).ranges, 0)!;
    assert.ok(low < -2 && high > 2);
    assert.ok(Math.abs(spread - (high - low) / 4.58) < 0.01);
  });
});

test('counts that no rows have end the search too', () => {
  for (const value of [0, 1e9]) {
    let ranges = wholeRanges([-1e18], [1e18]);
    for (let round = 0; round < 10; round++) {
      ranges = narrowed(ranges, new Float64Array(QUANTILES.length * 256).fill(value), 256, 5000);
      assert.ok(ranges.from.every((from, i) => from <= ranges.to[i]));
    }
    assert.ok(areFound(ranges));
  }
});
