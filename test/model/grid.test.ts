import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atomOf, gridStep } from '../../model/grid.ts';
import { generator } from '../../model/random.ts';

const rng = generator(1n, 'grid');
const of = (n: number, draw: (i: number) => number) =>
  gridStep(Float32Array.from({ length: n }, (_, i) => draw(i)));

test('ratings, counts, rounded numbers are on a grid', () => {
  assert.equal(
    of(500, () => 1 + rng.below(5)),
    1,
  );
  assert.equal(
    of(500, () => 4 * rng.below(3) - 7),
    4,
  );
  assert.ok(Math.abs(of(500, () => Math.round((30 * rng.normal() ** 2) / 10) / 10) - 0.1) < 1e-4);
  // Not each point of it has rows.
  assert.equal(
    of(500, () => [1, 2, 5, 10, 20][rng.below(5)]),
    1,
  );
});

test('numbers of one decimal in float16 are on a grid, which float32 alone does not show', () => {
  const half = (value: number) => {
    const ulp = 2 ** (Math.floor(Math.log2(value)) - 10);
    return Math.round(value / ulp) * ulp;
  };
  const values = Float64Array.from({ length: 500 }, () => half((43 + rng.below(37)) / 10));
  assert.equal(gridStep(values), 0);
  assert.ok(Math.abs(gridStep(values, 2 ** -11) - 0.1) < 2e-4);
  const continuous = Float64Array.from({ length: 500 }, () => half(4 + rng.uniform()));
  assert.equal(gridStep(continuous, 2 ** -11), 0);
});

test('two values, continuous ones, many, unequal steps, and few rows are not', () => {
  assert.equal(
    of(500, () => rng.below(2)),
    0,
  );
  assert.equal(
    of(500, () => rng.normal()),
    0,
  );
  assert.equal(
    of(500, () => rng.below(200)),
    0,
  );
  assert.equal(
    of(500, () => [0, 1, 2.5, 7.3][rng.below(4)]),
    0,
  );
  assert.equal(
    of(500, (i) => (i % 2 ? 0 : rng.normal())),
    0,
  );
  assert.equal(
    of(7, (i) => i),
    0,
  );
});

test('one exact value in a share of the rows of a continuous column', () => {
  const values = (share: number, other: () => number) =>
    Float64Array.from({ length: 1000 }, () => (rng.uniform() < share ? 2.5 : other()));
  const found = atomOf(values(0.4, () => rng.normal()))!;
  assert.equal(found.value, 2.5);
  assert.ok(Math.abs(found.others - 0.6) < 0.06);
  assert.ok(atomOf(values(0.05, () => rng.normal()))!.others > 0.9);
  assert.equal(atomOf(values(0.003, () => rng.normal())), null);
  // Ties by rounding.
  assert.equal(atomOf(values(0, () => Math.round(50 * rng.normal()))), null);
  assert.equal(atomOf(values(0.02, () => Math.round(50 * rng.normal()))), null);
  assert.equal(atomOf(values(0.4, () => rng.below(20))), null);
});
