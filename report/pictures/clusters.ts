import { max } from 'd3-array';
import { line as path } from 'd3-shape';
import { counted } from '../../view/counted.ts';
import { inPicture } from '../../view/projection.ts';
import { linear } from '../../view/scales.ts';
import { bottomAxis, leftAxis } from '../axes.ts';
import { markerStyle } from '../markers.ts';
import {
  type ClusterEllipse,
  centres,
  density,
  domainOf,
  dots,
  ellipses,
  extentsOf,
  goldenSequence,
  type Points,
  planeOf,
  RADIUS,
} from '../scatter.ts';
import { clipped, curve, num, picture, text, WIDTH } from '../svg.ts';

const HEIGHT = 500;
const BOX = { left: 66, top: 14, right: WIDTH - 16, bottom: HEIGHT - 56 };
/** Only the largest clusters get an ellipse and a centre; of the others only rows are shown. */
const MOST_ELLIPSES = 1000;

/** A cluster projected onto the picture's axes. */
export interface Component {
  cluster: number;
  weight: number;
  /** On the two axes; the second is 0 if D = 1. */
  centre: readonly [number, number];
  spread: readonly [number, number, number];
}

export interface ClusterView {
  dim: number;
  /** Fraction of the between-cluster scatter along each axis; 0 for axes chosen by the scatter within clusters. */
  shares: number[];
  /** Largest first. */
  components: Component[];
  points: Points & { cluster: Int32Array };
}

/** Points in their cluster's colour, centres in black, ellipses at two standard deviations; density curves if D = 1. */
export function clusterPicture(view: ClusterView): string {
  const { components, points, dim } = view;
  const attributes = {
    id: 'clusters',
    height: HEIGHT,
    title: 'Clusters',
    description: `${counted(components.length, 'cluster')} and ${points.x.length} of the rows, on ${dim === 1 ? 'one axis' : 'two axes'}.`,
  };
  return picture(attributes, ...(dim === 1 ? onLine(view) : onPlane(view)));
}

const ellipseOf = ({ cluster, centre, spread }: Component): ClusterEllipse => ({
  marker: markerStyle(cluster),
  label: String(cluster),
  centre,
  spread,
});

function onPlane({ components, points, shares }: ClusterView): string[] {
  const largest = components.slice(0, MOST_ELLIPSES).map(ellipseOf);
  // Of the others, what lies far off is outside the picture.
  const counts = inPicture(
    components.map(({ weight }) => weight),
    components.map(({ centre }) => centre),
    components.map(({ spread }) => RADIUS * Math.sqrt((spread[0] + spread[2]) / 2)),
  );
  const extents = largest.filter((_, i) => counts[i]).map(extentsOf);
  const shown = new Set(components.flatMap(({ cluster }, i) => (counts[i] ? [cluster] : [])));
  const inside = (values: Float64Array) => values.filter((_, i) => shown.has(points.cluster[i]));
  const across = domainOf(
    inside(points.x),
    extents.map(([x]) => x),
  );
  const up = domainOf(
    inside(points.y),
    extents.map(([, y]) => y),
  );
  const plane = planeOf(BOX, across, up);
  const groups = components.map(({ cluster }) => ({
    marker: markerStyle(cluster),
    at: indicesOf(points.cluster, cluster).map((i) => plane.place(points.x[i], points.y[i])),
  }));
  return [
    leftAxis(plane.y, BOX, { title: titleOf(2, shares[1]) }),
    bottomAxis(plane.x, BOX, { title: titleOf(1, shares[0]), count: 6 }),
    clipped(
      'clusters-in',
      BOX,
      dots(groups, 0.6, plane) + ellipses(largest, plane) + centres(largest, plane, BOX),
    ),
  ];
}

function titleOf(axis: number, share: number): string {
  if (share === 0) return `axis ${axis} (within clusters)`;
  return `axis ${axis} (${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} % of the scatter between clusters)`;
}

function onLine({ components, points }: ClusterView): string[] {
  const extents = components.map((one) => extentsOf(ellipseOf(one))[0]);
  const [from, to] = domainOf(points.x, extents);
  const x = linear([from, to], [BOX.left, BOX.right], 12);
  const heightAt = ({ weight, centre, spread }: Component, value: number) =>
    weight * density(value, centre[0], spread[0]);
  const top = max(components, (one) => heightAt(one, one.centre[0]))!;
  const y = linear([0, top * 1.12], [BOX.bottom, BOX.top], 20);
  const d = path<[number, number]>(
    ([a]) => x(a),
    ([, b]) => y(b),
  ).digits(1);
  const groups = components.map((one) => ({
    marker: markerStyle(one.cluster),
    at: indicesOf(points.cluster, one.cluster).map((i) => {
      const height = goldenSequence(i) * heightAt(one, points.x[i]);
      return `${num(x(points.x[i]))} ${num(y(height))}`;
    }),
  }));
  const curves = components.map((one) => {
    const width = 6 * Math.sqrt(one.spread[0]);
    const [a, b] = [Math.max(from, one.centre[0] - width), Math.min(to, one.centre[0] + width)];
    const at = Array.from({ length: 121 }, (_, i) => a + ((b - a) * i) / 120);
    return curve(d(at.map((value) => [value, heightAt(one, value)]))!, markerStyle(one.cluster).colour);
  });
  const peaks = components.map((one) => ({
    ...ellipseOf(one),
    centre: [one.centre[0], heightAt(one, one.centre[0])] as const,
  }));
  const plane = { x, y, place: (a: number, b: number) => `${num(x(a))} ${num(y(b))}` };
  return [
    leftAxis(y, BOX, { title: 'density × weight' }),
    bottomAxis(x, BOX, { title: 'value', count: 6 }),
    clipped('clusters-in', BOX, dots(groups, 0.6, { x }) + curves.join('') + centres(peaks, plane, BOX)),
    text(BOX.right, BOX.top + 12, 'rows are placed below the curve of their cluster', {
      anchor: 'end',
      tone: 'mute',
    }),
  ];
}

export function indicesOf(codes: ArrayLike<number>, code: number): number[] {
  const indices: number[] = [];
  for (let i = 0; i < codes.length; i++) if (codes[i] === code) indices.push(i);
  return indices;
}
