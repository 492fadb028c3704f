import { COLOURS, hexOf, mix, rgbOf } from '../../view/palette.ts';
import { bottomAxis, leftAxis, linear } from '../axes.ts';
import type { Look } from '../look.ts';
import {
  type Blob,
  centres,
  density,
  domainOf,
  dots,
  ellipses,
  type Points,
  planeOf,
  reachOf,
  scattered,
} from '../scatter.ts';
import { clipped, num, picture, text, WIDTH } from '../svg.ts';

const HEIGHT = 470;
const BOX = { left: 66, top: 48, right: WIDTH - 16, bottom: HEIGHT - 56 };
/** Shades of responsibility. */
const SHADES = 11;
const [LEFT, MIDDLE, RIGHT] = [COLOURS[0], '#c9c6c1', COLOURS[5]].map(rgbOf);

export interface SubView {
  cluster: number;
  dim: number;
  /** Two sub-clusters; rows of the sample, centre and spread on the two axes. */
  halves: { rows: number; centre: readonly [number, number]; spread: readonly [number, number, number] }[];
  /** `share`: the sub-net's responsibility of the second sub-cluster. */
  points: Points & { share: Float64Array };
}

const look = (colour: string): Look => ({ colour, shape: 'circle' });

/** Points inside one cluster, shaded by the sub-net's responsibilities; the sub-centres in black. */
export function subClusterPicture(view: SubView): string {
  const { cluster, halves, points } = view;
  const blobs: Blob[] = halves.map(({ centre, spread }, i) => ({
    look: look(hexOf(i ? RIGHT : LEFT)),
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
    ...(view.dim === 1 ? onLine(view, blobs) : onPlane(view, blobs)),
  );
}

function shades({ points }: SubView, place: (i: number) => string) {
  return Array.from({ length: SHADES }, (_, shade) => {
    const own = [...points.share.keys()].filter((i) => Math.round(points.share[i] * (SHADES - 1)) === shade);
    return { look: look(colourOf(shade / (SHADES - 1))), at: own.map(place) };
  });
}

function colourOf(share: number): string {
  return hexOf(share < 0.5 ? mix(LEFT, MIDDLE, 2 * share) : mix(MIDDLE, RIGHT, 2 * share - 1));
}

function onPlane(view: SubView, blobs: Blob[]): string[] {
  const { points } = view;
  const reaches = blobs.map(reachOf);
  const plane = planeOf(
    BOX,
    domainOf(
      points.x,
      reaches.map(([x]) => x),
    ),
    domainOf(
      points.y,
      reaches.map(([, y]) => y),
    ),
  );
  const groups = shades(view, (i) => plane.place(points.x[i], points.y[i]));
  return [
    leftAxis(plane.y, BOX, { title: 'widest axis across' }),
    bottomAxis(plane.x, BOX, { title: 'axis through both sub-centres', count: 6 }),
    clipped('sub-clusters-in', BOX, dots(groups, 0.8) + ellipses(blobs, plane) + centres(blobs, plane, BOX)),
  ];
}

function onLine(view: SubView, blobs: Blob[]): string[] {
  const { points, halves } = view;
  const total = halves[0].rows + halves[1].rows;
  const x = linear(
    domainOf(
      points.x,
      blobs.map((blob) => reachOf(blob)[0]),
    ),
    [BOX.left, BOX.right],
    12,
  );
  const heightAt = (value: number) =>
    halves.reduce(
      (sum, { rows, centre, spread }) => sum + (rows / total) * density(value, centre[0], spread[0]),
      0,
    );
  const top = Math.max(...blobs.map(({ centre }) => heightAt(centre[0])));
  const y = linear([0, top * 1.15], [BOX.bottom, BOX.top], 20);
  const place = (a: number, b: number) => `${num(x(a))} ${num(y(b))}`;
  const groups = shades(view, (i) => place(points.x[i], scattered(i) * heightAt(points.x[i])));
  const raised = blobs.map((blob) => ({
    ...blob,
    centre: [blob.centre[0], heightAt(blob.centre[0])] as const,
  }));
  return [
    leftAxis(y, BOX, { title: 'density' }),
    bottomAxis(x, BOX, { title: 'the one dimension', count: 6 }),
    clipped('sub-clusters-in', BOX, dots(groups, 0.8) + centres(raised, { x, y, place }, BOX)),
  ];
}

function legend(): string[] {
  const [left, width] = [258, 13];
  return [
    text(BOX.left, 26, 'responsibility of sub-cluster b:'),
    text(left, 26, '0', { anchor: 'end', tone: 'mute' }),
    ...Array.from({ length: SHADES }, (_, shade) => {
      const at = left + 8 + width * shade;
      return `<rect x="${num(at)}" y="15" width="${num(width + 0.3)}" height="13" fill="${colourOf(shade / (SHADES - 1))}"/>`;
    }),
    text(left + 16 + width * SHADES, 26, '1', { tone: 'mute' }),
  ];
}
