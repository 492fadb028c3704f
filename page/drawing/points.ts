import { counted } from '../../base/quantities.ts';
import { hasComponents } from './cluster-table.ts';
import { type Cluster, curveHeight, type ModelView } from './model-view.ts';
import { inPicture } from './projection.ts';
import {
  clipped,
  colourOf,
  DASHES,
  mark,
  markerPath,
  markerStyle,
  NOISE_COLOUR,
  num,
  picture,
  type Rgb,
  text,
  WIDTH,
} from './svg.ts';
import { percent } from './text.ts';

/** The picture of points: where points, ellipses and numbers are, for the canvas of the page; and the same as SVG. */

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

/** A magnified picture: the pixel `p` of the whole is at factor·p + (x, y). */
export interface Zoom {
  readonly factor: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Zoom = { factor: 1, x: 0, y: 0 };

/** An ellipse in the plane: half axes, and the angle of the longer one in radians, counter-clockwise. */
export interface Ellipse {
  x: number;
  y: number;
  rx: number;
  ry: number;
  angle: number;
}

/** The ellipse of `sds` standard deviations of a 2×2 covariance [xx, xy, yy]. Clamps eigenvalues rounded below 0. */
export function ellipseOf(x: number, y: number, [xx, xy, yy]: readonly number[], sds: number): Ellipse {
  const mean = (xx + yy) / 2;
  const halfGap = Math.hypot((xx - yy) / 2, xy);
  const [rx, ry] = [mean + halfGap, mean - halfGap].map((value) => sds * Math.sqrt(Math.max(0, value)));
  return { x, y, rx, ry, angle: halfGap === 0 ? 0 : Math.atan2(2 * xy, xx - yy) / 2 };
}

/** The first two coordinates of point `i` after the rotation. */
export function rotatePoint(xyz: ArrayLike<number>, i: number, r: Rotation): [number, number] {
  const [x, y, z] = [xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2]];
  return [r[0] * x + r[1] * y + r[2] * z, r[3] * x + r[4] * y + r[5] * z];
}

/** [xx, xy, yy] of the `i`-th 3×3 covariance after the rotation. */
export function rotateCovariance(covariances: ArrayLike<number>, i: number, r: Rotation): number[] {
  const form = (a: number, b: number) => {
    let sum = 0;
    for (let p = 0; p < 3; p++)
      for (let q = 0; q < 3; q++) sum += r[a + p] * covariances[9 * i + 3 * p + q] * r[b + q];
    return sum;
  };
  return [form(0, 0), form(0, 3), form(3, 3)];
}

type Viewport = ReturnType<typeof viewportOf>;

/**
 * Maps the plane to the picture, at one scale for both axes: pixel = centre ± scale·(value − middle). It shows every ellipse to `EXTENT`
 * times its half axes, or the part of that which a zoom shows.
 */
function viewportOf(ellipses: readonly Ellipse[], width: number, height: number, { factor, x, y }: Zoom) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y, rx, ry, angle } of ellipses) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const halfX = EXTENT * Math.hypot(rx * c, ry * s);
    const halfY = EXTENT * Math.hypot(rx * s, ry * c);
    left = Math.min(left, x - halfX);
    right = Math.max(right, x + halfX);
    low = Math.min(low, y - halfY);
    high = Math.max(high, y + halfY);
  }
  if (!(right >= left)) [left, right, low, high] = [-1, 1, -1, 1];
  const spanX = right - left || 1e-12;
  const spanY = high - low || 1e-12;
  const whole = Math.min(Math.max(1, width - 2 * MARGIN) / spanX, Math.max(1, height - 2 * MARGIN) / spanY);
  const scale = whole * factor;
  const midX = (left + right) / 2 - (((factor - 1) * width) / 2 + x) / scale;
  const midY = (low + high) / 2 + (((factor - 1) * height) / 2 + y) / scale;
  return { scale, midX, midY, width, height };
}

const screenX = (x: number, { scale, midX, width }: Viewport) => width / 2 + (x - midX) * scale;
/** In a picture, y points down. */
const screenY = (y: number, { scale, midY, height }: Viewport) => height / 2 - (y - midY) * scale;

interface Spot {
  x: number;
  y: number;
}

/**
 * Positions of the cluster numbers: each at its own point if that is at least `distance` from all earlier ones, else
 * nearby; null if no free position is near.
 */
export function placeNumbers(points: readonly Spot[], distance: number): (Spot | null)[] {
  const taken: Spot[] = [];
  const free = (spot: Spot) =>
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

/** Standard deviations that an ellipse shows, and how much of it the picture shows at least. */
const SDS = 2;
const EXTENT = 1.4;
/** Pixels between these and the edge. */
const MARGIN = 12;
/** Only the largest clusters get ellipses. */
const MOST_ELLIPSES = 1000;

/** The size of the picture, and which part of it is shown from which side. */
export interface Framing {
  width: number;
  height: number;
  rotation?: Rotation;
  zoom?: Zoom;
}

/** What is where, in pixels. */
export type PointScene = ReturnType<typeof pointScene>;

/** Lays out a view. `whole`: as `shownAsAWhole` says. */
export function pointScene(
  view: ModelView,
  { width, height, rotation = IDENTITY, zoom = WHOLE }: Framing,
  whole: readonly boolean[] = shownAsAWhole(view),
) {
  const isLine = view.dim === 1 && !view.isMap;
  const ellipses = view.weights.map((_, component) => {
    const [x, y] = rotatePoint(view.centres, component, rotation);
    const ellipse = ellipseOf(x, y, rotateCovariance(view.covariances, component, rotation), SDS);
    return isLine ? { ...ellipse, y: y / 2, ry: y / 2 } : ellipse;
  });
  const shown = ellipses.filter((_, component) => whole[component]);
  const viewport = viewportOf(shown, width, height, zoom);
  const n = view.labels.length;
  const [xs, ys] = [new Float32Array(n), new Float32Array(n)];
  for (let i = 0; i < n; i++) {
    const [x, y] = rotatePoint(view.xyz, i, rotation);
    xs[i] = screenX(x, viewport);
    ys[i] = screenY(y, viewport);
  }
  // A mean of components may lie outside all of them.
  const centres = view.clusters.map(({ components: [largest] }) => {
    const [x, y] = rotatePoint(view.centres, largest, rotation);
    return { x: screenX(x, viewport), y: screenY(y, viewport) };
  });
  const numberRadius = view.k > 20 ? 8 : 9;
  const largestFirst = [...centres.keys()].sort((a, b) => view.clusters[b].rows - view.clusters[a].rows);
  // The number of a cluster that lies outside stands at the edge, with a line that points there.
  const within = (value: number, length: number) =>
    zoom === WHOLE ? Math.min(Math.max(value, numberRadius + 2), length - numberRadius - 2) : value;
  const present = largestFirst.filter((c) => Number.isFinite(centres[c].x));
  const spots = placeNumbers(
    present.map((c) => ({ x: within(centres[c].x, width), y: within(centres[c].y, height) })),
    2 * numberRadius + 3,
  );
  /** Where the number of a cluster is; null: there is no room. */
  const numbers = centres.map((): Spot | null => null);
  for (const [i, c] of present.entries()) numbers[c] = spots[i];
  /** The ellipses of each cluster's components, or with one column their curves, as a path; empty on a map. */
  const outlines = Array<string>(view.isMap ? 0 : view.k).fill('');
  for (const c of view.isMap ? [] : largestFirst.slice(0, MOST_ELLIPSES))
    outlines[c] = view.clusters[c].components
      .map((component) =>
        isLine ? curvePath(view, component, viewport) : ellipsePath(ellipses[component], viewport),
      )
      .join('');
  /** Of a point. */
  const radius = Math.min(3, Math.max(1.15, 3.2 * (600 / Math.max(1, n)) ** 0.28));
  return { xs, ys, radius, centres, outlines, numbers, numberRadius };
}

/** The components that the picture shows as a whole, however it is turned. */
export function shownAsAWhole({ weights, centres, covariances }: ModelView): boolean[] {
  const variance = (c: number) => covariances[9 * c] + covariances[9 * c + 4] + covariances[9 * c + 8];
  return inPicture(
    weights,
    weights.map((_, c) => centres.subarray(3 * c, 3 * c + 3)),
    weights.map((_, c) => SDS * Math.sqrt(variance(c) / 2)),
  );
}

function ellipsePath({ x, y, rx, ry, angle }: Ellipse, viewport: Viewport): string {
  const [cx, cy] = [screenX(x, viewport), screenY(y, viewport)];
  const [a, b] = [rx, ry].map((radius) => Math.max(1, radius * viewport.scale));
  const [dx, dy] = [a * Math.cos(angle), -a * Math.sin(angle)];
  const arc = `A${num(a)} ${num(b)} ${num((-angle * 180) / Math.PI)} 1 0`;
  const [start, end] = [`${num(cx - dx)} ${num(cy - dy)}`, `${num(cx + dx)} ${num(cy + dy)}`];
  return `M${start}${arc} ${end}${arc} ${start}Z`;
}

/** Places along a curve. */
const CURVE_POINTS = 121;

function curvePath({ centres, covariances }: ModelView, c: number, viewport: Viewport): string {
  const reach = 4 * Math.sqrt(covariances[9 * c]);
  const points = Array.from({ length: CURVE_POINTS }, (_, i) => {
    const x = centres[3 * c] + reach * ((2 * i) / (CURVE_POINTS - 1) - 1);
    const y = curveHeight(centres, covariances, c, x);
    return `${num(screenX(x, viewport))} ${num(screenY(y, viewport))}`;
  });
  return `M${points.join('L')}`;
}

/** What its ellipses are. */
export const ellipsesText = ({ clusters }: ModelView): string =>
  `Ellipses: two standard deviations${clusters.some(hasComponents) ? '; dashed, those of components of one cluster' : ''}`;

/** What the two axes show. */
export function axesText({ dim, k, weights, shares, isMap }: ModelView): string {
  if (isMap) return 'a map';
  if (dim === 1) return 'one column; heights are densities times weights';
  if (weights.length === 1) return 'axes of largest variance';
  const share = percent(shares[0] + shares[1], 0);
  return weights.length > k
    ? `${share} of the scatter between components`
    : `${share} of the between-cluster scatter`;
}

const HEIGHT = 520;
/** Points are drawn in layers, each with some of every cluster, so that the last cluster does not hide all others. */
const LAYERS = 6;

/** The same as a file. Each point has the marker of its cluster, so that the first 300 clusters all look different. */
export function pointsPicture(view: ModelView): string {
  const scene = pointScene(view, { width: WIDTH, height: HEIGHT });
  const rowsOf = view.clusters.map((): number[] => []);
  for (const [i, label] of view.labels.entries()) rowsOf[label].push(i);
  const shown = view.clusters.flatMap(({ rows }, c) => (rows > 1e-6 ? [c] : []));
  const ids = view.clusters.map(({ id }) => id);
  const box = { left: 0, top: 0, right: WIDTH, bottom: HEIGHT };
  const id = view.isMap ? 'map' : 'clusters';
  return picture(
    {
      id,
      height: HEIGHT + 24,
      title: view.isMap ? 'Map' : 'Clusters',
      description: `${counted(shown.length, 'cluster')} and ${view.labels.length} of the rows, on ${view.isMap ? 'a map' : view.dim === 1 ? 'one axis' : 'two axes'}.`,
    },
    clipped(
      `${id}-in`,
      box,
      dots(scene, rowsOf, ids) +
        outlineShapes(scene, shown, view.clusters) +
        shown.map((c) => numberShape(scene, c, ids[c])).join(''),
    ),
    text(WIDTH / 2, HEIGHT + 14, axesText(view), { anchor: 'middle', tone: 'mute' }),
  );
}

/** Points in the colours and shapes of their clusters. `rowsOf`: of each cluster its points; `ids`: its label. */
export function dots(
  { xs, ys, radius }: Pick<PointScene, 'xs' | 'ys' | 'radius'>,
  rowsOf: readonly number[][],
  ids: readonly number[],
): string {
  const layers = Array.from({ length: LAYERS }, (_, layer) =>
    rowsOf.map((rows, c) => {
      const places = rows.flatMap((row, i) =>
        i % LAYERS === layer ? [`M${num(xs[row])} ${num(ys[row])}`] : [],
      );
      if (!places.length) return '';
      const { colour, shape } = markerStyle(ids[c]);
      // A zero-length line with round caps is the shortest way to draw a dot.
      if (shape === 'circle')
        return `<path d="${places.map((at) => `${at}h0`).join('')}" stroke="${colour}"/>`;
      const outline = markerPath(shape, radius * 1.15);
      return `<path d="${places.map((at) => at + outline).join('')}" fill="${colour}" stroke="none"/>`;
    }),
  );
  return `<g class="dots" fill="none" stroke-width="${num(2 * radius)}" stroke-linecap="round" stroke-opacity="0.6" fill-opacity="0.6">${layers.flat().join('')}</g>`;
}

/** Points that are in no cluster, smaller than others. */
export const greyDots = (
  { xs, ys, radius }: Pick<PointScene, 'xs' | 'ys' | 'radius'>,
  rows: readonly number[],
): string =>
  rows.length
    ? `<path d="${rows.map((row) => `M${num(xs[row])} ${num(ys[row])}h0`).join('')}" fill="none" stroke="${NOISE_COLOUR}" stroke-width="${num(1.4 * radius)}" stroke-linecap="round" stroke-opacity="0.6"/>`
    : '';

const outlineShapes = ({ outlines }: PointScene, shown: readonly number[], clusters: readonly Cluster[]) =>
  `<g fill="none" stroke-width="${shown.length > 30 ? 1.2 : 1.8}">${shown
    .filter((c) => outlines[c])
    .map((c) => {
      const dashes = hasComponents(clusters[c]) ? ` stroke-dasharray="${DASHES.join(' ')}"` : '';
      return `<path d="${outlines[c]}" stroke="${colourOf(clusters[c].id)}"${dashes}/>`;
    })
    .join('')}</g>`;

/** The label of a cluster in a circle, with a line to the centre where it stands beside that. */
function numberShape({ centres, numbers, numberRadius }: PointScene, c: number, id: number): string {
  const spot = numbers[c];
  const { x, y } = centres[c];
  if (!Number.isFinite(x)) return '';
  const dot = `M${num(x)} ${num(y)}${markerPath('circle', 2.6)}`;
  if (!spot) return mark(dot);
  const line =
    spot.x === x && spot.y === y
      ? ''
      : `<path class="inkline" d="M${num(spot.x)} ${num(spot.y)}L${num(x)} ${num(y)}" stroke="#1b1e23"/>${mark(dot)}`;
  return `${line}<path class="badge" d="M${num(spot.x)} ${num(spot.y)}${markerPath('circle', numberRadius)}" fill="#ffffff" stroke="${colourOf(id)}" stroke-width="2"/>${text(spot.x, spot.y + 3.8, String(id), { anchor: 'middle', bold: true, size: numberRadius + 2 })}`;
}

/** A round dot as offsets into RGBA pixels and the fraction of each pixel that it covers, 0 … 1. */
interface Dot {
  readonly offsets: Int32Array;
  readonly coverage: Float32Array;
  /** Pixels from the centre to the edge of the offsets. */
  readonly extent: number;
}

/** A dot of `radius` pixels, for an image of `width` pixels. */
export function dotOf(radius: number, width: number): Dot {
  const extent = Math.ceil(radius + 0.5);
  const offsets: number[] = [];
  const coverage: number[] = [];
  for (let y = -extent; y <= extent; y++)
    for (let x = -extent; x <= extent; x++) {
      const covered = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
      if (covered > 0.02) {
        offsets.push(4 * (y * width + x));
        coverage.push(covered);
      }
    }
  return { offsets: Int32Array.from(offsets), coverage: Float32Array.from(coverage), extent };
}

/**
 * Blends dots into RGBA pixels in the order of the points, much faster than one canvas call per point. Leaves out points
 * whose dot would cross the edge. `colours` and `opacity` are indexed by label.
 */
export function drawPoints(
  pixels: Uint8ClampedArray,
  [width, height]: readonly [number, number],
  xs: Float32Array,
  ys: Float32Array,
  labels: Int32Array,
  colours: readonly Rgb[],
  opacity: Float32Array,
  { offsets, coverage, extent }: Dot,
): void {
  const size = offsets.length;
  for (let i = 0; i < xs.length; i++) {
    const x = Math.round(xs[i]);
    const y = Math.round(ys[i]);
    if (!(x >= extent && y >= extent && x < width - extent && y < height - extent)) continue;
    const label = labels[i];
    const alpha = opacity[label];
    if (!(alpha > 0)) continue;
    const [r, g, b] = colours[label];
    const centre = 4 * (y * width + x);
    for (let p = 0; p < size; p++) {
      const at = centre + offsets[p];
      const weight = alpha * coverage[p];
      pixels[at] += (r - pixels[at]) * weight;
      pixels[at + 1] += (g - pixels[at + 1]) * weight;
      pixels[at + 2] += (b - pixels[at + 2]) * weight;
    }
  }
}
