// Cells that are not known are filled from rows like theirs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillCells, wholeRows } from '../../../data/steps/fill.ts';
import { generator } from '../../../model/random.ts';
import { stepProblem } from '../../../run/model-shapes.ts';

const rng = generator(3n, 'fill');
const D = 3;
const NOISE = 0.1;
/** Two sheets of unlike slopes, far apart. */
const rowsOf = (n: number) =>
  Float32Array.from(
    Array.from({ length: n }, (_, i) => {
      const [x, y] = [rng.normal(), rng.normal()];
      return [x, y + (i % 2 ? 20 : 0), (i % 2 ? 2 * x : -x) + y + NOISE * rng.normal()];
    }).flat(),
  );
const expected = (rows: Float32Array, at: number) =>
  rows[at + 1] > 10 ? 2 * rows[at] + rows[at + 1] - 20 : rows[at + 1] - rows[at];
const VALUE = 0.25;
const atoms = { columns: Int32Array.of(2), values: Float32Array.of(VALUE) };
const fill = { ...atoms, donors: rowsOf(1000) };

test('a cell gets what the regression near its row says, and as much noise as rows have there', () => {
  const rows = rowsOf(2000);
  const known = rows.slice();
  const holes = [...Array(2000).keys()].filter((i) => i % 20 < 3);
  for (const i of holes) rows[i * D + 2] = VALUE;
  fillCells(fill, rows, D);
  const errors = holes.map((i) => rows[i * D + 2] - expected(rows, i * D));
  const sd = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
  // A value drawn from all rows is off by 2 and more, one of a nearest row by .2.
  assert.ok(sd > 0.7 * NOISE && sd < 1.7 * NOISE, String(sd));
  assert.equal(new Set(holes.map((i) => rows[i * D + 2])).size, holes.length);
  for (const i of holes) rows[i * D + 2] = known[i * D + 2];
  assert.deepEqual(rows, known);
});

test('a row is filled as it is alone, by the cells that are known', () => {
  const both = { ...fill, columns: Int32Array.of(0, 2), values: Float32Array.of(7, VALUE) };
  const rows = Float32Array.of(7, 20.5, VALUE, 1, 0, VALUE, 7, VALUE, 3);
  const alone = rows.slice(0, D);
  fillCells(both, rows, D);
  fillCells(both, alone, D);
  assert.deepEqual(rows.slice(0, D), alone);
  assert.ok(Math.abs(alone[2] - expected(alone, 0)) < 5 * NOISE);
  assert.ok(rows[6] !== 7 && rows[7] === VALUE);
});

test('whole rows have none of the values, and damage is seen', () => {
  const rows = Float32Array.of(1, 2, VALUE, VALUE, 2, 3);
  assert.deepEqual(wholeRows(rows, D, atoms), Float32Array.of(VALUE, 2, 3));
  const problem = (change: Partial<typeof fill>) => stepProblem({ fill: { ...fill, ...change } }, D);
  assert.equal(problem({}), null);
  for (const change of [
    { columns: Int32Array.of(3) },
    { values: Float32Array.of() },
    { donors: Float32Array.of() },
    { donors: Float32Array.of(1) },
    { donors: Float32Array.of(1, 2, Number.NaN) },
  ])
    assert.equal(problem(change), 'fill');
});
