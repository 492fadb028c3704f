import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { binOf, hasValley } from '../../model/gaussian/splits.ts';
import { randomNumbers } from '../coordinator/fit/support.ts';

type Random = ReturnType<typeof randomNumbers>;
const BINS = 64;
const DRAWS = 30;

/** Is there a valley between the parts below and above `cut`, in the histogram that a split step makes of them? */
function valleyAt(rows: number[], cut: number): boolean {
  const parts = [rows.filter((x) => x < cut), rows.filter((x) => x >= cut)];
  const means = parts.map((part) => part.reduce((a, b) => a + b, 0) / part.length);
  const squares = parts.flatMap((part, j) => part.map((x) => (x - means[j]) ** 2));
  const within = Math.sqrt(squares.reduce((a, b) => a + b, 0) / rows.length);
  const [centre, halfway] = [(means[0] + means[1]) / 2, (means[1] - means[0]) / 2];
  const sd = (halfway + 4 * within) / 6;
  const histogram = new Float64Array(BINS);
  for (const x of rows) histogram[binOf(x, centre, sd, BINS)]++;
  const [from, to] = means.map((mean) => binOf(mean, centre, sd, BINS));
  return hasValley(histogram, from, to);
}

/** The share of draws of `n` rows with a valley. */
function rate(n: number, cut: number, draw: (random: Random) => number): number {
  let found = 0;
  for (let seed = 1; seed <= DRAWS; seed++) {
    const random = randomNumbers(1000 * n + seed);
    if (
      valleyAt(
        Array.from({ length: n }, () => draw(random)),
        cut,
      )
    )
      found++;
  }
  return found / DRAWS;
}

const normal = ({ normal }: Random) => normal();
const pair = (apart: number) => (random: Random) => random.normal() + apart * random.below(2);
const uniform = ({ uniform }: Random) => uniform();
const exponential = ({ uniform }: Random) => -Math.log(1 - uniform());
const heavy = ({ normal }: Random) =>
  normal() / Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3);
const minority = (share: number, apart: number) => (random: Random) =>
  random.normal() + (random.uniform() < share ? apart : 0);
/** One side of a Gaussian five times as wide. */
const tail = (random: Random) => (random.uniform() < 0.02 ? Math.abs(5 * random.normal()) : random.normal());

describe('a valley', () => {
  // Of 500 rows two Gaussians 4 sd apart are found in 80 % of 200 draws; 3 sd apart in .5 %, of more rows in none.
  for (const [what, cut, draw, least] of [
    ['two Gaussians 4 sd apart', 2, pair(4), 0.6],
    ['two Gaussians 6 sd apart', 3, pair(6), 1],
    ['a minority of 5 % at 9 sd', 4.5, minority(0.05, 9), 0.9],
  ] as const)
    test(`is found between ${what}`, () => {
      const few = rate(500, cut, draw);
      assert.ok(few >= least, `500 rows: ${few}`);
      for (const n of [2000, 20_000]) assert.equal(rate(n, cut, draw), 1, `${n} rows`);
    });

  // Of 200 draws: in none. Without allowance for chance, of 500 rows: uniform 3.5 %, the tail of an exponential 8 %, of t(3) 22 %,
  // a tail of 2 % 45 %, and of 2,000 rows 58 %.
  for (const [what, cut, draw] of [
    ['a Gaussian', 0, normal],
    ['the side of a Gaussian', 1.5, normal],
    ['two Gaussians 2 sd apart', 1, pair(2)],
    ['a uniform density', 0.5, uniform],
    ['an exponential density', 1, exponential],
    ['the tail of an exponential density', 3, exponential],
    ['heavy tails, t(3)', 0, heavy],
    ['one of the heavy tails', 3, heavy],
    ['a tail of 2 %', 3, tail],
  ] as const)
    test(`is not found in ${what}`, () => {
      for (const n of [500, 2000, 20_000]) assert.equal(rate(n, cut, draw), 0, `${n} rows`);
    });

  test('needs rows above its floor on both sides; the outermost bins do not count', () => {
    const bins = (values: number[]) => Float64Array.from(values);
    const hill = [0, 1, 5, 20, 50, 20, 5, 1, 0];
    const two = [0, ...hill, ...hill, 0];
    assert.ok(hasValley(bins(two), 5, 14));
    assert.ok(hasValley(bins(two.toReversed()), 5, 14));
    assert.ok(!hasValley(bins([0, ...hill, ...hill.map(() => 0), 0]), 5, 14), 'nothing on one side');
    assert.ok(!hasValley(bins([0, ...hill, ...hill.map(() => 0), 1e6]), 5, 14), 'all of it beyond');
    assert.ok(!hasValley(new Float64Array(20), 5, 14), 'no rows');
    assert.ok(!hasValley(new Float64Array(20).fill(7), 5, 14), 'a level');
    assert.ok(hasValley(bins(two), 0, 19), 'from end to end');
  });
});
