import type { Zoom } from './zoom.ts';

/** Rotation of the three axes before two of them are drawn: 3×3, row-major. */
export type Rotation = readonly number[];

export const IDENTITY: Rotation = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** Rotates further: by `right` about the vertical axis of the screen, by `down` about the horizontal one; radians. */
export function rotate(rotation: Rotation, right: number, down: number): Rotation {
  const [c, s] = [Math.cos(right), Math.sin(right)];
  const [e, f] = [Math.cos(down), Math.sin(down)];
  return product([1, 0, 0, 0, e, -f, 0, f, e], product([c, 0, s, 0, 1, 0, -s, 0, c], rotation));
}

function product(a: Rotation, b: Rotation): Rotation {
  return [0, 1, 2].flatMap((i) =>
    [0, 1, 2].map((j) => a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j]),
  );
}

/** An ellipse in the plane: half axes, and the angle of the longer one in radians, counter-clockwise. */
export interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
  angle: number;
}

/** The ellipse of `sds` standard deviations of a 2×2 covariance [xx, xy, yy]. Clamps eigenvalues rounded below 0. */
export function ellipseOf(
  x: number,
  y: number,
  [xx, xy, yy]: ArrayLike<number> & Iterable<number>,
  sds: number,
): Ellipse {
  const mean = (xx + yy) / 2;
  const halfGap = Math.hypot((xx - yy) / 2, xy);
  return {
    x,
    y,
    rx: sds * Math.sqrt(Math.max(0, mean + halfGap)),
    ry: sds * Math.sqrt(Math.max(0, mean - halfGap)),
    angle: halfGap === 0 ? 0 : Math.atan2(2 * xy, xx - yy) / 2,
  };
}

/** The first two coordinates of point `i` after the rotation. */
export function rotatePoint(xyz: ArrayLike<number>, i: number, r: Rotation): [number, number] {
  const [x, y, z] = [xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2]];
  return [r[0] * x + r[1] * y + r[2] * z, r[3] * x + r[4] * y + r[5] * z];
}

/** [xx, xy, yy] of the `i`-th 3×3 covariance after the rotation. */
export function rotateCovariance(
  covariances: ArrayLike<number>,
  i: number,
  r: Rotation,
): [number, number, number] {
  const form = (a: number, b: number) => {
    let sum = 0;
    for (let p = 0; p < 3; p++)
      for (let q = 0; q < 3; q++) sum += r[a + p] * covariances[9 * i + 3 * p + q] * r[b + q];
    return sum;
  };
  return [form(0, 0), form(0, 3), form(3, 3)];
}

/** Maps the plane to the screen: pixel = centre ± scale·(value − middle). */
export interface Viewport {
  scale: number;
  midX: number;
  midY: number;
  width: number;
  height: number;
}

/** The viewport, at one scale for both axes, that shows every ellipse to `extent` times its half axes. */
export function viewportOf(
  ellipses: readonly Ellipse[],
  extent: number,
  width: number,
  height: number,
  margin: number,
): Viewport {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y, rx, ry, angle } of ellipses) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const halfX = extent * Math.hypot(rx * c, ry * s);
    const halfY = extent * Math.hypot(rx * s, ry * c);
    left = Math.min(left, x - halfX);
    right = Math.max(right, x + halfX);
    low = Math.min(low, y - halfY);
    high = Math.max(high, y + halfY);
  }
  if (!(right >= left)) [left, right, low, high] = [-1, 1, -1, 1];
  const spanX = right - left || 1e-12;
  const spanY = high - low || 1e-12;
  const scale = Math.min(Math.max(1, width - 2 * margin) / spanX, Math.max(1, height - 2 * margin) / spanY);
  return { scale, midX: (left + right) / 2, midY: (low + high) / 2, width, height };
}

/** The part of it that a zoom shows. */
export function zoomed({ scale, midX, midY, width, height }: Viewport, { factor, x, y }: Zoom): Viewport {
  return {
    scale: scale * factor,
    midX: midX - (((factor - 1) * width) / 2 + x) / (scale * factor),
    midY: midY + (((factor - 1) * height) / 2 + y) / (scale * factor),
    width,
    height,
  };
}

export const screenX = (x: number, { scale, midX, width }: Viewport) => width / 2 + (x - midX) * scale;
/** On the screen, y points down. */
export const screenY = (y: number, { scale, midY, height }: Viewport) => height / 2 - (y - midY) * scale;

/**
 * Positions of the cluster numbers: each at its own point if that is at least `distance` from all earlier ones, else
 * nearby; null if no free position is near.
 */
export function placeBadges(
  points: readonly { x: number; y: number }[],
  distance: number,
): ({ x: number; y: number } | null)[] {
  const taken: { x: number; y: number }[] = [];
  const free = (spot: { x: number; y: number }) =>
    taken.every((other) => Math.hypot(other.x - spot.x, other.y - spot.y) >= distance);
  return points.map((point) => {
    const around = [1, 1.5, 2].flatMap((far) =>
      [1, 7, 3, 5, 0, 4, 2, 6].map((eighth) => ({
        x: point.x + far * distance * Math.cos((eighth * Math.PI) / 4),
        y: point.y - far * distance * Math.sin((eighth * Math.PI) / 4),
      })),
    );
    const spot = [point, ...around].find(free) ?? null;
    if (spot) taken.push(spot);
    return spot;
  });
}
