// Columns as shades: numbers by rank, few values evenly, dates, and the most frequent categories.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MISSING_SHADE,
  MOST_CATEGORIES,
  MOST_SHADE,
  rankShades,
  textCounter,
  timeOf,
} from '../../model/shades.ts';

test('numbers have shades by their ranks, whatever their scale; few values are evenly apart', () => {
  const values = Array.from({ length: 1001 }, (_, i) => Math.exp(i / 50));
  const { quartiles, shadeOf } = rankShades([...values, Number.NaN, Number.POSITIVE_INFINITY]);
  assert.deepEqual(quartiles, [values[0], values[250], values[500], values[750], values[1000]]);
  assert.deepEqual([values[0], values[500], values[1000]].map(shadeOf), [0, MOST_SHADE / 2, MOST_SHADE]);
  assert.deepEqual([-1, 1e99, Number.NaN].map(shadeOf), [0, MOST_SHADE, MISSING_SHADE]);
  const few = rankShades([...Array(500).fill(1), 2, 5]);
  assert.deepEqual([1, 2, 5].map(few.shadeOf), [0, MOST_SHADE / 2, MOST_SHADE]);
  const half = rankShades([...Array(500).fill(0), ...Array.from({ length: 500 }, (_, i) => i + 1)]);
  assert.ok(Math.abs(half.shadeOf(0) - MOST_SHADE / 4) <= 1, 'the middle of those that are the same');
  for (const none of [rankShades([]), rankShades([Number.NaN])])
    assert.deepEqual([none.quartiles, none.shadeOf(1)], [[], MISSING_SHADE]);
  assert.equal(rankShades([3, 3]).shadeOf(3), 0);
});

test('the most frequent categories have shades, the others share one, and missing ones another', () => {
  const counter = textCounter();
  for (let i = 0; i < 30; i++) for (let j = 0; j <= i; j++) counter.add(`c${i}`);
  for (const text of ['', null]) counter.add(text);
  const { legend, shadeOf } = counter.result();
  assert.ok(legend.kind === 'category');
  assert.deepEqual(legend.categories[0], { name: 'c29', rows: 30 });
  assert.equal(legend.categories.length, MOST_CATEGORIES);
  assert.deepEqual([legend.others, legend.missing], [55, 2]);
  assert.deepEqual(['c29', 'c10', 'c9', '', null].map(shadeOf), [
    ...[0, 19, MOST_CATEGORIES, MISSING_SHADE, MISSING_SHADE],
  ]);
  assert.equal(counter.areTimes(), false);
});

test('texts are dates only if all are; of very many texts those that came first are counted', () => {
  const dates = textCounter();
  for (const text of ['2024-01-02', '2024-01-02 03:04', '2024-01-02T03:04:05.5+02:00', null]) dates.add(text);
  assert.equal(dates.areTimes(), true);
  dates.add('soon');
  assert.equal(dates.areTimes(), false);
  assert.equal(timeOf('1970-01-02'), 86_400_000);
  const zones = ['03:00', '03:00Z', '05:00:00+02', '05:00 +02:00', '05:00+0200', '00:30-02:30'];
  for (const time of zones) assert.equal(timeOf(`1970-01-02 ${time}`), 97_200_000, time);
  for (const text of ['2024', '5', '2024-13-01', '02/01/2024']) assert.ok(Number.isNaN(timeOf(text)), text);
  const many = textCounter();
  for (let i = 0; i < 150_000; i++) many.add(`t${i % 140_000}`);
  const { legend } = many.result();
  assert.ok(legend.kind === 'category' && legend.others === 150_000 - 2 * MOST_CATEGORIES);
});
