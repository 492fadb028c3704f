import { extent, quantileSorted } from 'd3-array';
import { scaleLinear } from 'd3-scale';
import type { Scale } from './axes.ts';
import { type Look, outline } from './look.ts';
import { type Box, ellipsePath, mark, num, text, textWidth } from './svg.ts';

/** What the two pictures of points share. */

export interface Points {
  /** Coordinates on paper's two axes; `y` is of no use where D is 1. */
  x: Float64Array;
  y: Float64Array;
}

/** Ellipses and intervals are drawn at two standard deviations. */
const RADIUS = 2;
/** Points are drawn in as many layers, so that the last cluster does not hide all others. */
const LAYERS = 6;
/** Points further out than this many times the width of the middle 98 % are left out. */
const FAR = 1.5;
/** The two axes have one scale, unless one of them is that much longer. */
const MOST_UNLIKE = 5;

/** What is to be seen along one axis: the points, less a few that lie far out, and all that `also` reaches. */
export function domainOf(values: Float64Array, also: [number, number][]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = also.flat();
  if (sorted.length) {
    const [low, high] = [quantileSorted(sorted, 0.01)!, quantileSorted(sorted, 0.99)!];
    const room = FAR * (high - low);
    const inside = sorted.filter((value) => value >= low - room && value <= high + room);
    reach.push(...(extent(inside) as [number, number]));
  }
  const [least, most] = extent(reach) as [number, number];
  const pad = 0.03 * (most - least) || Math.max(1e-6, Math.abs(least) * 0.05);
  return [least - pad, most + pad];
}

export interface Plane {
  x: Scale;
  y: Scale;
  place: (x: number, y: number) => string;
}

/** Scales of both axes that fit `box`; the same for both, so that shapes are true, where that leaves enough to see. */
export function planeOf(box: Box, across: [number, number], up: [number, number]): Plane {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const [perX, perY] = [(across[1] - across[0]) / width, (up[1] - up[0]) / height];
  if (Math.max(perX / perY, perY / perX) < MOST_UNLIKE) {
    const per = Math.max(perX, perY);
    across = widened(across, per * width);
    up = widened(up, per * height);
  }
  const x = scaleLinear(across, [box.left, box.right]);
  const y = scaleLinear(up, [box.bottom, box.top]);
  return { x, y, place: (a, b) => `${num(x(a))} ${num(y(b))}` };
}

function widened([from, to]: [number, number], length: number): [number, number] {
  const more = Math.max(0, length - (to - from)) / 2;
  return [from - more, to + more];
}

/** Radius of a point, so many that they are. */
const radiusOf = (count: number) => (count > 2500 ? 1.5 : count > 900 ? 1.9 : count > 250 ? 2.4 : 3);

export interface Group {
  look: Look;
  /** Places on paper, `x y`. */
  at: string[];
}

/** Points of each group in its look. */
export function dots(groups: Group[], opacity: number): string {
  const count = groups.reduce((sum, { at }) => sum + at.length, 0);
  const radius = radiusOf(count);
  const layers = Array.from({ length: LAYERS }, (_, layer) =>
    groups.map(({ look, at }) => {
      const own = at.filter((_, i) => i % LAYERS === layer);
      if (!own.length) return '';
      // A line of no length with round ends is a dot, in the fewest bytes.
      if (look.shape === 'circle')
        return `<path d="${own.map((place) => `M${place}h0`).join('')}" stroke="${look.colour}"/>`;
      const shape = outline(look.shape, radius * 1.15);
      return `<path d="${own.map((place) => `M${place}${shape}`).join('')}" fill="${look.colour}" stroke="none"/>`;
    }),
  );
  return `<g fill="none" stroke-width="${num(2 * radius)}" stroke-linecap="round" stroke-opacity="${opacity}" fill-opacity="${opacity}">${layers.flat().join('')}</g>`;
}

export interface Blob {
  look: Look;
  label: string;
  centre: readonly [number, number];
  /** Along the two axes: variance, covariance, variance. */
  spread: readonly [number, number, number];
}

/** Where an ellipse ends along both axes. */
export function reachOf({ centre, spread }: Blob): [[number, number], [number, number]] {
  const [a, b] = [RADIUS * Math.sqrt(Math.max(0, spread[0])), RADIUS * Math.sqrt(Math.max(0, spread[2]))];
  return [
    [centre[0] - a, centre[0] + a],
    [centre[1] - b, centre[1] + b],
  ];
}

export function ellipses(blobs: Blob[], { place }: Plane): string {
  const many = blobs.length > 30;
  return `<g fill="none" stroke-width="${many ? 1.2 : 1.8}">${blobs
    .map(({ look, centre, spread }) => {
      const d = ellipsePath(centre, spread, RADIUS, place);
      return `<path d="${d}" fill="${look.colour}" fill-opacity=".1" stroke="${look.colour}"/>`;
    })
    .join('')}</g>`;
}

/** Middles of the blobs in black, and their names beside them where there is room: the first ones come first. */
export function centres(blobs: Blob[], { x, y }: Plane, box: Box): string {
  const many = blobs.length > 30;
  const radius = many ? 2.6 : 4;
  const size = many ? 11 : 13.5;
  const at = blobs.map(({ centre }) => [x(centre[0]), y(centre[1])]);
  const taken = at.map(([cx, cy]) => around(cx, cy, 2 * radius, 2 * radius));
  const names = blobs.map(({ label }, i) => {
    const width = textWidth(label, size) + 2;
    const found = SPOTS.map(([dx, dy]) =>
      around(at[i][0] + dx * (radius + 3 + width / 2), at[i][1] + dy * (radius + 2 + size / 2), width, size),
    ).map((spot) => ({ spot, cost: costOf(spot, taken, box) }));
    const best = found.reduce((a, b) => (b.cost < a.cost ? b : a));
    // Where they would cover each other, some have none: the table has them all.
    if (many && best.cost > 0.25 * width * size) return '';
    taken.push(best.spot);
    return text((best.spot.left + best.spot.right) / 2, best.spot.bottom - size * 0.14, label, {
      anchor: 'middle',
      bold: true,
      halo: true,
      size,
    });
  });
  return (
    at.map(([cx, cy]) => mark(`M${num(cx)} ${num(cy)}${outline('circle', radius)}`)).join('') + names.join('')
  );
}

/** Right above first, then round about. */
const SPOTS = [
  [0.9, -0.9],
  [-0.9, -0.9],
  [0.9, 0.9],
  [-0.9, 0.9],
  [1, 0],
  [-1, 0],
  [0, -1.2],
  [0, 1.2],
];

const around = (cx: number, cy: number, width: number, height: number): Box => ({
  left: cx - width / 2,
  right: cx + width / 2,
  top: cy - height / 2,
  bottom: cy + height / 2,
});

/** How much of a spot is covered or outside of the picture. */
function costOf(spot: Box, taken: Box[], box: Box): number {
  const over = (a: Box, b: Box) =>
    Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
    Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const area = (spot.right - spot.left) * (spot.bottom - spot.top);
  return taken.reduce((sum, other) => sum + over(spot, other), 0) + 3 * (area - over(spot, box));
}

/** A normal density. */
export const density = (x: number, mean: number, variance: number) =>
  Math.exp(-((x - mean) ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance);

/** In [0, 1), evenly spread whichever stretch of indices is taken. */
export const scattered = (index: number) => (index * 0.6180339887498949) % 1;
