import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  insideLabels,
  labelExtent,
  type PlacedLabel,
  placeLabels,
  type SizedLabel,
  standLabels,
} from '../../../page/drawing/map-picture.ts';
import { labelLines, mapNames } from '../../../run/whole-map.ts';

const seed = Number(process.env.DPMESH_TEST_SEED ?? 33);

/** Labels at random places, some of them at the same; of up to two lines, of up to 22 letters. */
const labels = fc.array(
  fc.record({
    x: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0.25, 0.5)),
    y: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0.25, 0.5)),
    letters: fc.integer({ min: 1, max: 22 }),
    count: fc.integer({ min: 1, max: 2 }),
  }),
  { maxLength: 60 },
);

const sized = (all: readonly { x: number; y: number; letters: number; count: number }[]): SizedLabel[] =>
  all.map(({ x, y, letters, count }, node) => {
    const lines = Array<string>(count).fill('m'.repeat(letters));
    return { node, x, y, layer: 0, lines, ...labelExtent(lines, 12) };
  });

/** Where a label is on the screen, where the map is so many pixels wide. */
const boxAt = ({ x, y, dy, width, height }: PlacedLabel, side: number) => ({
  ...{ width, height },
  x: x * side,
  y: -y * side + dy,
});
type Box = ReturnType<typeof boxAt>;

const overlaps = (a: Box, b: Box) =>
  Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2;

function assertApart(boxes: readonly Box[]): void {
  for (const [i, a] of boxes.entries())
    for (const b of boxes.slice(0, i)) if (overlaps(a, b)) assert.fail(JSON.stringify([a, b]));
}

// The map fills the height of 800 and 844 pixels, or the width of 1280 and 390; then it is magnified.
for (const [width, height] of [
  [1280, 800],
  [390, 844],
])
  test(`no two labels overlap at ${width} × ${height}, at any magnification; one that is shown stays`, () => {
    const whole = Math.min(width, height);
    fc.assert(
      fc.property(labels, fc.double({ min: 1, max: 1e4, noNaN: true }), (all, factor) => {
        const placed = placeLabels(sized(all), whole);
        for (const side of [whole, whole * 1.3, whole * factor]) {
          assertApart(placed.filter(({ from }) => side >= from).map((label) => boxAt(label, side)));
        }
        if (placed.length) assert.equal(placed[0].from, 0, 'the most important one is always shown');
        assert.deepEqual(placed, placeLabels(sized(all), whole));
      }),
      { seed, numRuns: 150 },
    );
  });

test('2,000 clusters: many labels, all apart; the ones at a place of their own are shown once there is room', () => {
  const all = Array.from({ length: 2000 }, (_, i) => ({
    x: (i * 0.6180339887) % 1,
    y: (i * 0.7548776662) % 1,
    ...{ letters: 1 + (i % 20), count: 1 + (i % 2) },
  }));
  const placed = placeLabels(sized(all), 800);
  const shown = (side: number) => placed.filter(({ from }) => side >= from);
  assertApart(shown(800).map((label) => boxAt(label, 800)));
  assert.ok(shown(800).length > 40, `${shown(800).length} labels`);
  assert.equal(shown(1e5).length, 2000);
});

test('labels of a picture stand apart, inside it, and arrows do not cross', () => {
  fc.assert(
    fc.property(labels, (all) => {
      const [width, height] = [900, 640];
      const boxes = sized(all).map((label) => ({ ...label, x: 150 + 600 * label.x, y: 60 + 500 * label.y }));
      const stand = standLabels(boxes, { width, height });
      const shown = stand.flatMap((at, i) => (at ? [{ ...boxes[i], ...at }] : []));
      assertApart(shown.map((label) => ({ ...label, dy: 0 })));
      for (const { x, y, width: w, height: h } of shown)
        assert.ok(x >= w / 2 && x <= width - w / 2 && y >= h / 2 && y <= height - h / 2);
      for (const [i, at] of stand.entries())
        if (at) assert.equal(at.isAside, at.x !== boxes[i].x || at.y !== boxes[i].y);
      if (all.length <= 12) assert.equal(shown.length, all.length, 'so few have room');
    }),
    { seed, numRuns: 40 },
  );
});

test('names in lines: long, foreign, hostile and empty ones', () => {
  assert.deepEqual(labelLines('high income, low age, region = north'), [
    'high income, low age,',
    'region = north',
  ]);
  assert.deepEqual(labelLines(''), []);
  assert.deepEqual(labelLines('a\u0000b\u202ec\nd'), ['a b c d']);
  assert.deepEqual(labelLines('<b>x</b>'), ['<b>x</b>']);
  for (const name of [
    'word '.repeat(2000),
    'x'.repeat(10_000),
    '👩‍👩‍👧‍👦'.repeat(100),
    'שלום עולם '.repeat(50),
  ]) {
    const lines = labelLines(name);
    assert.ok(lines.length <= 3 && lines.at(-1)!.endsWith('…'), JSON.stringify(lines));
    assert.doesNotMatch(lines.join(''), /\p{Surrogate}/u);
  }
});

test('upper joins come first, then clusters by size; those without a name or rows have no label', () => {
  // Clusters, each two neighbours of which are joined, and each two of these joins, to the root.
  const treeOf = (k: number) => ({
    sizes: Array.from({ length: k }, (_, i) => k - i),
    joins: Array.from({ length: k - 1 }, (_, i) => ({ a: 2 * i, b: 2 * i + 1, height: i })),
  });
  const anchorsOf = (k: number) =>
    treeOf(k).sizes.map((rows, i) => (i === 5 ? null : { rows, x: i / k, y: 0.5 }));
  const [tree, anchors] = [treeOf(16), anchorsOf(16)];
  const names = mapNames(anchors, tree, (node) =>
    node === 6 ? null : node < 16 ? `c${node}` : `join ${node}`,
  );
  assert.deepEqual(
    names.map(({ lines }) => lines[0]),
    [
      ...['join 24', 'join 25', 'join 26', 'join 27'],
      ...[0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((cluster) => `c${cluster}`),
    ],
  );
  assert.equal(names[0].x, 1 / 16, 'the median of its rows');
  const few = mapNames(anchorsOf(8), treeOf(8), String);
  assert.ok(
    few.every(({ node }) => node < 8),
    'the names of few clusters have room',
  );
});

test('labels at the edge of the screen are moved inside, unless a more important one is there', () => {
  const label = (x: number, y: number, dy = 0) => ({ x, y, dy, width: 40, height: 10 });
  const screen = { width: 200, height: 100 };
  assert.deepEqual(insideLabels([label(100, 50), label(5, 2), label(199, 99, 12)], screen), [
    ...[
      [80, 45],
      [0, 0],
      [160, 90],
    ],
  ]);
  assert.deepEqual(
    insideLabels([label(-1, 50), label(100, 101)], screen),
    [null, null],
    'places off the screen',
  );
  assert.deepEqual(insideLabels([label(30, 50), label(5, 52), label(5, 20)], screen), [
    [10, 45],
    null,
    [0, 15],
  ]);
  // The moved one is more important, the other would not have moved.
  assert.deepEqual(insideLabels([label(5, 52), label(30, 50)], screen), [[0, 47], null]);
});
