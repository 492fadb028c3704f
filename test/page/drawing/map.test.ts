import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CELLS, planTiles } from '../../../model/map-tiles.ts';
import { frameOf, isInside, shownPart, tilesFor, zoomTo } from '../../../page/drawing/map-frame.ts';
import { WHOLE } from '../../../page/drawing/points.ts';

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

test('as many rows as wanted are drawn, of each tile as many as the sample has; far out, only large tiles', () => {
  const counts = new Uint32Array(CELLS * CELLS);
  // Half of a million rows are in a corner of the map.
  for (let y = 0; y < CELLS; y += 4) for (let x = 0; x < CELLS; x += 4) counts[y * CELLS + x] = 8;
  counts.fill(8, 0, 64_000);
  const { tiles } = planTiles(counts);
  const countOf = ({ level, column, row, from, below }: (typeof tiles)[number]) => {
    const width = CELLS >> level;
    let rows = 0;
    for (let y = row * width; y < (row + 1) * width; y++)
      for (let x = column * width; x < (column + 1) * width; x++) rows += counts[y * CELLS + x];
    return Math.round(rows * (below - from));
  };
  const index = { tiles: tiles.map((tile) => ({ ...tile, count: countOf(tile) })) };
  const rows = counts.reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(index.tiles.reduce((sum, { count }) => sum + count, 0) - rows) < tiles.length);
  for (const part of [
    [0, 0, 1, 1],
    [0.1, 0.2, 0.6, 0.5],
  ])
    for (const most of [20_000, 100_000, 1e9]) {
      const { drawn, share } = tilesFor(index, part, most);
      const sum = drawn.reduce((all, tile) => all + tile.rows, 0);
      if (most === 1e9) assert.equal(share, 1);
      // Also rows of large tiles that are outside the part.
      else assert.ok(sum > 0.9 * most && (part[0] > 0 || sum < 1.1 * most), `${sum} of ${most}`);
      if (part[0] === 0 && most < 1e9) assert.ok(Math.abs(share - most / rows) < 0.02 * share, `${share}`);
    }
  assert.ok(tilesFor(index, [0, 0, 1, 1], 20_000).drawn.length < 22, 'the first three levels');
  assert.deepEqual(tilesFor(index, [2, 2, 3, 3], 1000).drawn, []);
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
