import { COLOURS, hexOf, mix, rgbOf } from '../../view/palette.ts';
import { linear } from '../../view/scales.ts';
import { bottomAxis, leftAxis } from '../axes.ts';
import type { MarkerStyle } from '../markers.ts';
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
} from '../scatter.ts';
import { clipped, num, picture, text, WIDTH } from '../svg.ts';

const HEIGHT = 470;
const BOX = { left: 66, top: 48, right: WIDTH - 16, bottom: HEIGHT - 56 };
/** Colour steps for responsibilities. */
const SHADES = 11;
const [LEFT, MIDDLE, RIGHT] = [COLOURS[0], '#c9c6c1', COLOURS[5]].map(rgbOf);

export interface SubClusterView {
  cluster: number;
  dim: number;
  /** The two sub-clusters: rows of the training sample, centre and spread on the two axes. */
  halves: { rows: number; centre: readonly [number, number]; spread: readonly [number, number, number] }[];
  /** With the sub-net's responsibility of the second sub-cluster. */
  points: Points & { responsibility: Float64Array };
}

const circle = (colour: string): MarkerStyle => ({ colour, shape: 'circle' });

/** Points of one cluster, coloured by the sub-net's responsibilities; sub-cluster centres in black. */
export function subClusterPicture(view: SubClusterView): string {
  const { cluster, halves, points } = view;
  const subClusters: ClusterEllipse[] = halves.map(({ centre, spread }, i) => ({
    marker: circle(hexOf(i ? RIGHT : LEFT)),
    label: 'ab'[i],
    centre,
    spread,
  }));
  return picture(
    {
      id: 'sub-clusters',
      height: HEIGHT,
      title: `Sub-clusters of cluster ${cluster}`,
      description: `Two sub-clusters of ${halves.map(({ rows }) => Math.round(rows)).join(' and ')} rows of the sample; ${points.x.length} rows are shown.`,
    },
    ...legend(),
    ...(view.dim === 1 ? onLine(view, subClusters) : onPlane(view, subClusters)),
  );
}

function shadedGroups({ points }: SubClusterView, place: (i: number) => string) {
  return Array.from({ length: SHADES }, (_, shade) => {
    const own = [...points.responsibility.keys()].filter(
      (i) => Math.round(points.responsibility[i] * (SHADES - 1)) === shade,
    );
    return { marker: circle(shadeOf(shade / (SHADES - 1))), at: own.map(place) };
  });
}

function shadeOf(responsibility: number): string {
  const r = responsibility;
  return hexOf(r < 0.5 ? mix(LEFT, MIDDLE, 2 * r) : mix(MIDDLE, RIGHT, 2 * r - 1));
}

function onPlane(view: SubClusterView, subClusters: ClusterEllipse[]): string[] {
  const { points } = view;
  const extents = subClusters.map(extentsOf);
  const plane = planeOf(
    BOX,
    domainOf(
      points.x,
      extents.map(([x]) => x),
    ),
    domainOf(
      points.y,
      extents.map(([, y]) => y),
    ),
  );
  const groups = shadedGroups(view, (i) => plane.place(points.x[i], points.y[i]));
  return [
    leftAxis(plane.y, BOX, { title: 'widest orthogonal axis' }),
    bottomAxis(plane.x, BOX, { title: 'axis through both sub-cluster centres', count: 6 }),
    clipped(
      'sub-clusters-in',
      BOX,
      dots(groups, 0.8, plane) + ellipses(subClusters, plane) + centres(subClusters, plane, BOX),
    ),
  ];
}

function onLine(view: SubClusterView, subClusters: ClusterEllipse[]): string[] {
  const { points, halves } = view;
  const total = halves[0].rows + halves[1].rows;
  const x = linear(
    domainOf(
      points.x,
      subClusters.map((sub) => extentsOf(sub)[0]),
    ),
    [BOX.left, BOX.right],
    12,
  );
  const heightAt = (value: number) =>
    halves.reduce(
      (sum, { rows, centre, spread }) => sum + (rows / total) * density(value, centre[0], spread[0]),
      0,
    );
  const top = Math.max(...subClusters.map(({ centre }) => heightAt(centre[0])));
  const y = linear([0, top * 1.15], [BOX.bottom, BOX.top], 20);
  const place = (a: number, b: number) => `${num(x(a))} ${num(y(b))}`;
  const groups = shadedGroups(view, (i) => place(points.x[i], goldenSequence(i) * heightAt(points.x[i])));
  const peaks = subClusters.map((sub) => ({
    ...sub,
    centre: [sub.centre[0], heightAt(sub.centre[0])] as const,
  }));
  return [
    leftAxis(y, BOX, { title: 'density' }),
    bottomAxis(x, BOX, { title: 'value', count: 6 }),
    clipped('sub-clusters-in', BOX, dots(groups, 0.8, { x }) + centres(peaks, { x, y, place }, BOX)),
  ];
}

function legend(): string[] {
  const [left, width] = [258, 13];
  return [
    text(BOX.left, 26, 'responsibility of sub-cluster b:'),
    text(left, 26, '0', { anchor: 'end', tone: 'mute' }),
    ...Array.from({ length: SHADES }, (_, shade) => {
      const at = left + 8 + width * shade;
      return `<rect x="${num(at)}" y="15" width="${num(width + 0.3)}" height="13" fill="${shadeOf(shade / (SHADES - 1))}"/>`;
    }),
    text(left + 16 + width * SHADES, 26, '1', { tone: 'mute' }),
  ];
}
