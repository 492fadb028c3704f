import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameOf, isInside, recordsFor, shownPart, zoomTo } from '../../../page/drawing/map-frame.ts';
import { WHOLE } from '../../../page/drawing/points.ts';
import { uniform } from '../browser/world.ts';

const near = (a: readonly number[], b: readonly number[]) =>
  a.forEach((value, i) => {
    assert.ok(Math.abs(value - b[i]) < 1e-9, `${a} ≠ ${b}`);
  });

test('the whole map is in the middle; a part that is zoomed to fills the screen', () => {
  const [left, bottom, right, top] = shownPart(frameOf(1200, 600, WHOLE));
  near([left + right, bottom + top, (right - left) / (top - bottom)], [1, 1, 2]);
  assert.ok(bottom < -0.02, `room below the map: ${-bottom}`);
  const home = [0.2, 0.3, 0.4, 0.4];
  near(shownPart(frameOf(1200, 600, zoomTo(home, 1200, 600))), home);
  near(shownPart(frameOf(600, 600, zoomTo(home, 600, 600))), [0.2, 0.25, 0.4, 0.45]);
});

test('of records in random order as many are drawn as have so many in a part of the map; all where there are few', () => {
  const random = uniform(8);
  const count = 100_000;
  // x and y of a record are its second and third number.
  const places = Float32Array.from({ length: 4 * count }, () => random());
  const wanted = (part: readonly number[], most: number) => recordsFor(places, count, part, most).records;
  assert.equal(wanted([-1, -1, 2, 2], 20_000), 20_000);
  const part = [0.1, 0.2, 0.3, 0.7];
  const drawn = wanted(part, 5000);
  let inside = 0;
  for (let i = 0; i < drawn; i++) {
    const [x, y] = places.subarray(4 * i + 1, 4 * i + 3);
    if (x >= part[0] && y >= part[1] && x <= part[2] && y <= part[3]) inside++;
  }
  assert.ok(Math.abs(inside - 5000) < 250, `${inside}`);
  assert.equal(wanted([0.5, 0.5, 0.51, 0.51], 5000), Infinity);
  assert.equal(recordsFor(places, 0, part, 5000).records, Infinity);
});

test('what is inside a line', () => {
  const line = [
    [0, 0],
    [4, 0],
    [4, 4],
    [2, 1],
    [0, 4],
  ] as const;
  for (const [x, y, inside] of [
    [1, 1, true],
    [2, 2, false],
    [3, 1, true],
    [5, 1, false],
    [-1, 2, false],
  ] as const)
    assert.equal(isInside(line, x, y), inside, `${x}, ${y}`);
});
