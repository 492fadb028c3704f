import { extent, quantileSorted } from 'd3-array';
import { scaleLinear } from 'd3-scale';
import type { Scale } from '../view/scales.ts';
import { type MarkerStyle, markerPath } from './markers.ts';
import { type Box, ellipsePath, mark, num, text, textWidth } from './svg.ts';

/** Common parts of the pictures of points. */

export interface Points {
  /** Coordinates on the two axes of the picture; `y` is not used if D = 1. */
  x: Float64Array;
  y: Float64Array;
  /** Which row of the data each is. */
  row: Float64Array;
}

/** Ellipses and intervals are drawn at two standard deviations. */
export const RADIUS = 2;
/** Points are drawn in layers, each with some of every cluster, so that the last cluster does not hide all others. */
const LAYERS = 6;
/** Points are outliers, and not shown, beyond the middle 98 % by more than this many times its width. */
const OUTLIER = 1.5;
/** Both axes have the same scale unless their extents differ by more than this factor. */
const MAX_ASPECT = 5;

/** The domain of an axis: the points without outliers, and the `intervals`, with a margin. */
export function domainOf(values: Float64Array, intervals: [number, number][]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const ends = intervals.flat();
  if (sorted.length) {
    const [low, high] = [quantileSorted(sorted, 0.01)!, quantileSorted(sorted, 0.99)!];
    const margin = OUTLIER * (high - low);
    const inside = sorted.filter((value) => value >= low - margin && value <= high + margin);
    ends.push(...(extent(inside) as [number, number]));
  }
  const [least, most] = extent(ends) as [number, number];
  const pad = 0.03 * (most - least) || Math.max(1e-6, Math.abs(least) * 0.05);
  return [least - pad, most + pad];
}

export interface Plane {
  x: Scale;
  y: Scale;
  /** SVG coordinates `x y` of a point. */
  place: (x: number, y: number) => string;
}

/** Scales for both axes, equal if possible, so that angles and shapes are not distorted. */
export function planeOf(box: Box, across: [number, number], up: [number, number]): Plane {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const [perX, perY] = [(across[1] - across[0]) / width, (up[1] - up[0]) / height];
  if (Math.max(perX / perY, perY / perX) < MAX_ASPECT) {
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

/** Radius of a dot by the number of points. */
const radiusOf = (count: number) => (count > 2500 ? 1.5 : count > 900 ? 1.9 : count > 250 ? 2.4 : 3);

/** Points with the same marker. */
export interface PointGroup {
  marker: MarkerStyle;
  /** SVG coordinates, `x y`. */
  at: string[];
}

/** The points of all groups. `axes`: without `y`, heights have no meaning. */
export function dots(groups: PointGroup[], opacity: number, axes: Pick<Plane, 'x'> & Partial<Plane>): string {
  const count = groups.reduce((sum, { at }) => sum + at.length, 0);
  const radius = radiusOf(count);
  const layers = Array.from({ length: LAYERS }, (_, layer) =>
    groups.map(({ marker, at }) => {
      const own = at.filter((_, i) => i % LAYERS === layer);
      if (!own.length) return '';
      // A zero-length line with round caps is the shortest way to draw a dot.
      if (marker.shape === 'circle')
        return `<path d="${own.map((place) => `M${place}h0`).join('')}" stroke="${marker.colour}"/>`;
      const shape = markerPath(marker.shape, radius * 1.15);
      return `<path d="${own.map((place) => `M${place}${shape}`).join('')}" fill="${marker.colour}" stroke="none"/>`;
    }),
  );
  return `<g class="dots" ${affine(axes)} fill="none" stroke-width="${num(2 * radius)}" stroke-linecap="round" stroke-opacity="${opacity}" fill-opacity="${opacity}">${layers.flat().join('')}</g>`;
}

/** How values become coordinates, so that what is at a place can be found: `data-x="offset factor"`. */
function affine({ x, y }: Pick<Plane, 'x'> & Partial<Plane>): string {
  const coefficients = (scale: Scale) =>
    [scale(0), scale(1) - scale(0)].map((value) => Number(value.toPrecision(9))).join(' ');
  return `data-x="${coefficients(x)}"${y ? ` data-y="${coefficients(y)}"` : ''}`;
}

/** A cluster's centre and covariance on the two axes, with its label. */
export interface ClusterEllipse {
  marker: MarkerStyle;
  label: string;
  centre: readonly [number, number];
  /** Variance along x, covariance, variance along y. */
  spread: readonly [number, number, number];
}

/** The intervals that an ellipse covers along both axes. */
export function extentsOf({ centre, spread }: ClusterEllipse): [[number, number], [number, number]] {
  const [a, b] = [RADIUS * Math.sqrt(Math.max(0, spread[0])), RADIUS * Math.sqrt(Math.max(0, spread[2]))];
  return [
    [centre[0] - a, centre[0] + a],
    [centre[1] - b, centre[1] + b],
  ];
}

export function ellipses(clusters: ClusterEllipse[], { place }: Plane): string {
  const many = clusters.length > 30;
  return `<g fill="none" stroke-width="${many ? 1.2 : 1.8}">${clusters
    .map(({ marker, centre, spread }) => {
      const d = ellipsePath(centre, spread, RADIUS, place);
      return `<path d="${d}" fill="${marker.colour}" fill-opacity=".1" stroke="${marker.colour}"/>`;
    })
    .join('')}</g>`;
}

/** Centres in black, with labels beside them where there is room; earlier clusters have priority. */
export function centres(clusters: ClusterEllipse[], { x, y }: Plane, box: Box): string {
  const many = clusters.length > 30;
  const radius = many ? 2.6 : 4;
  const size = many ? 11 : 13.5;
  const real = clusters.map(({ centre }) => [x(centre[0]), y(centre[1])] as const);
  // The labels of those that lie outside are at the edge.
  const at = real.map((place) => insideOf(box, place, 0));
  const taken = at.map(([cx, cy]) => around(cx, cy, 2 * radius, 2 * radius));
  const labels = clusters.map(({ label }, i) => {
    const width = textWidth(label, size) + 2;
    const candidates = SPOTS.map(([dx, dy]) =>
      around(at[i][0] + dx * (radius + 3 + width / 2), at[i][1] + dy * (radius + 2 + size / 2), width, size),
    ).map((spot) => ({ spot, cost: costOf(spot, taken, box) }));
    const best = candidates.reduce((a, b) => (b.cost < a.cost ? b : a));
    // Labels that would overlap are omitted: the table has them all.
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
    real.map(([cx, cy]) => mark(`M${num(cx)} ${num(cy)}${markerPath('circle', radius)}`)).join('') +
    labels.join('')
  );
}

/** The place in the box, by a margin, that is nearest to this one. */
export const insideOf = (box: Box, [x, y]: readonly [number, number], margin: number): [number, number] => [
  Math.min(Math.max(x, box.left + margin), box.right - margin),
  Math.min(Math.max(y, box.top + margin), box.bottom - margin),
];

/** Positions of a label relative to its centre, in order of preference. */
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

/** Area of a spot that is taken, plus a penalty for the area outside the box. */
function costOf(spot: Box, taken: Box[], box: Box): number {
  const over = (a: Box, b: Box) =>
    Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
    Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const area = (spot.right - spot.left) * (spot.bottom - spot.top);
  return taken.reduce((sum, other) => sum + over(spot, other), 0) + 3 * (area - over(spot, box));
}

/** Density of a normal distribution. */
export const density = (x: number, mean: number, variance: number) =>
  Math.exp(-((x - mean) ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance);

/** A low-discrepancy sequence in [0, 1): any run of consecutive indices is evenly spread. */
export const goldenSequence = (index: number) => (index * 0.6180339887498949) % 1;
