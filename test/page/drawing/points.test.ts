import assert from 'node:assert/strict';
import test from 'node:test';
import {
  dotOf,
  drawPoints,
  ellipseOf,
  IDENTITY,
  placeNumbers,
  rotate,
  rotateCovariance,
  rotatePoint,
} from '../../../page/drawing/points.ts';

const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9 * (1 + Math.abs(b)), `${a} ≠ ${b}`);

test('the ellipse of a covariance: half axes are standard deviations along its eigenvectors', () => {
  const angle = 0.7;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [big, small] = [9, 0.25];
  const e = ellipseOf(
    1,
    2,
    [big * c * c + small * s * s, (big - small) * c * s, big * s * s + small * c * c],
    2,
  );
  near(e.rx, 6);
  near(e.ry, 1);
  near(e.angle, angle);
  assert.deepEqual([e.x, e.y], [1, 2]);
});

test('ellipses of a point, of a circle, and of an eigenvalue rounded below 0', () => {
  assert.deepEqual(ellipseOf(0, 0, [0, 0, 0], 2), { x: 0, y: 0, rx: 0, ry: 0, angle: 0 });
  assert.deepEqual(ellipseOf(0, 0, [4, 0, 4], 1), { x: 0, y: 0, rx: 2, ry: 2, angle: 0 });
  assert.equal(ellipseOf(0, 0, [1, 1 + 1e-12, 1], 1).ry, 0);
});

test('rotations keep lengths; four quarter turns are the identity', () => {
  let r = rotate(IDENTITY, 0.3, -1.1);
  const xyz = [1, -2, 3];
  for (let row = 0; row < 3; row++) near(Math.hypot(r[3 * row], r[3 * row + 1], r[3 * row + 2]), 1);
  r = IDENTITY;
  for (let i = 0; i < 4; i++) r = rotate(r, Math.PI / 2, 0);
  rotatePoint(xyz, 0, r).forEach((v, i) => {
    near(v, xyz[i]);
  });
  // A quarter turn to the right brings the third axis to the front.
  const [x, y] = rotatePoint(xyz, 0, rotate(IDENTITY, Math.PI / 2, 0));
  near(x, 3);
  near(y, -2);
});

test('a covariance rotates with the points', () => {
  const r = rotate(rotate(IDENTITY, 0.4, 0), 0, 0.9);
  const v = [0.5, -1, 2];
  const outer = v.flatMap((a) => v.map((b) => a * b));
  const [x, y] = rotatePoint(v, 0, r);
  rotateCovariance(outer, 0, r).forEach((value, i) => {
    near(value, [x * x, x * y, y * y][i]);
  });
});

test('cluster numbers do not overlap', () => {
  const points = Array.from({ length: 8 }, (_, i) => ({ x: 100 + i, y: 100 }));
  const spots = placeNumbers([...points, { x: 300, y: 0 }], 20);
  assert.deepEqual(spots[0], points[0]);
  assert.deepEqual(spots[8], { x: 300, y: 0 });
  const placed = spots.filter((spot) => spot !== null);
  assert.ok(placed.length > 5);
  for (const a of placed)
    for (const b of placed) assert.ok(a === b || Math.hypot(a.x - b.x, a.y - b.y) >= 20 - 1e-9);
});

test('points are blended at their pixels, and none across an edge', () => {
  const [width, height] = [20, 10];
  const pixels = new Uint8ClampedArray(4 * width * height);
  const at = (x: number) => [...pixels.slice(4 * (5 * width + x), 4 * (5 * width + x) + 3)];
  const colours = [
    [200, 100, 50],
    [0, 0, 250],
  ] as const;
  const draw = (points: [x: number, y: number, label: number][]) => {
    const [xs, ys] = [0, 1].map((i) => Float32Array.from(points, (point) => point[i]));
    const labels = Int32Array.from(points, ([, , label]) => label);
    const opacity = Float32Array.of(1, 0.5);
    drawPoints(pixels, [width, height], xs, ys, labels, colours, opacity, dotOf(1.2, width));
  };
  draw([-1, 0, 19.8, Number.NaN].map((x) => [x, 5, 0]));
  draw([[5, 9.9, 0]]);
  assert.ok(
    pixels.every((v) => v === 0),
    'nothing wraps around to the other side',
  );
  // A label without a colour is left out: the net may have grown since.
  draw([
    [5, 5, 0],
    [12, 5, 1],
    [15, 5, 7],
  ]);
  assert.deepEqual([5, 12, 9, 15].map(at), [
    [200, 100, 50],
    [0, 0, 125],
    [0, 0, 0],
    [0, 0, 0],
  ]);
});
