import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wholeShapes } from '../../../model/graph/whole-shapes.ts';
import { generator } from '../../../model/random.ts';

const { uniform, normal } = generator(3n, 'shapes');
const rowsOf = (n: number, row: (i: number) => number[]) =>
  Float32Array.from(Array.from({ length: n }, (_, i) => row(i)).flat());
const arc = (turn: number, radius: number, noise: number) => [
  radius * Math.cos(turn * Math.PI) + noise * normal(),
  radius * Math.sin(turn * Math.PI) + noise * normal(),
];

test('rings and moons are whole shapes', () => {
  const rings = rowsOf(1000, (i) => arc(2 * uniform(), 1 + (i % 2), 0.05));
  assert.equal(wholeShapes(rings, 2, 0n), 2);
  const moons = rowsOf(600, (i) => {
    const [x, y] = arc(uniform() + (i % 2), 1, 0.05);
    return i % 2 ? [x + 1, y + 0.5] : [x, y];
  });
  assert.equal(wholeShapes(moons, 2, 0n), 2);
});

test('a disc, a strip, an arc, and Gaussians that overlap are not', () => {
  const strip = rowsOf(1000, () => [10 * uniform(), uniform()]);
  const bow = rowsOf(1000, () => arc(uniform(), 1, 0.1));
  const disc = rowsOf(1000, () => arc(2 * uniform(), Math.sqrt(uniform()), 0));
  const mixed = rowsOf(1000, (i) => [normal() + 3 * (i % 4), normal() + 6 * (i % 3)]);
  const few = [1, 2, 3].map((n) => rowsOf(n, () => [normal(), normal()]));
  for (const rows of [strip, bow, disc, mixed, ...few]) assert.equal(wholeShapes(rows, 2, 0n), null);
});
