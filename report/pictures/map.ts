import { median, variance } from 'd3-array';
import { imageUri } from '../../data/images/folder.ts';
import { counted } from '../../view/counted.ts';
import { inPicture } from '../../view/projection.ts';
import { type ExemplarView, MOST_CLUSTERS, MOST_IMAGES } from '../exemplars.ts';
import type { MapView } from '../map-view.ts';
import { markerPath, markerStyle } from '../markers.ts';
import { domainOf, dots, insideOf, planeOf, RADIUS } from '../scatter.ts';
import { clipped, num, picture, text, WIDTH } from '../svg.ts';
import { indicesOf } from './clusters.ts';

const HEIGHT = 560;
const BOX = { left: 10, top: 10, right: WIDTH - 10, bottom: HEIGHT - 10 };
/** An image in the montage of a cluster, and images beside each other. */
const SIDE = 38;
const ACROSS = 4;
/** Of the circle around a number. */
const NUMBER = 10;
/** Larger K: numbers would hide the rows. */
const MOST_NUMBERS = 100;

/**
 * Rows in their cluster's colour, its number at the median of its rows. `exemplars`: a montage of the rows nearest to its centre
 * appears where the pointer or the keyboard's focus is on the number.
 */
export function mapPicture({ points }: MapView, exemplars: ExemplarView | null): string {
  const clusters = [...new Set(points.cluster)].sort((a, b) => a - b);
  const own = clusters.map((cluster) => indicesOf(points.cluster, cluster));
  const medians = own.map((at) => [points.x, points.y].map((values) => median(at, (i) => values[i])!));
  const spreads = own.map((at) =>
    [points.x, points.y].reduce((sum, values) => sum + (variance(at, (i) => values[i]) ?? 0), 0),
  );
  const counts = inPicture(
    own.map((at) => at.length),
    medians,
    spreads.map((sum) => RADIUS * Math.sqrt(sum / 2)),
  );
  const shown = own.filter((_, c) => counts[c]).flat();
  const domain = (values: Float64Array) =>
    domainOf(
      Float64Array.from(shown, (i) => values[i]),
      [],
    );
  const plane = planeOf(BOX, domain(points.x), domain(points.y));
  const { x, y } = plane;
  const groups = clusters.map((cluster, c) => ({
    cluster,
    marker: markerStyle(cluster),
    rows: own[c].length,
    at: own[c].map((i) => plane.place(points.x[i], points.y[i])),
    // The number of one that lies outside is at the edge.
    centre: insideOf(BOX, [x(medians[c][0]), y(medians[c][1])], NUMBER + 1),
  }));
  const numbered = [...groups].sort((a, b) => b.rows - a.rows).slice(0, MOST_NUMBERS);
  const montages = new Map(
    exemplars?.clusters.slice(0, MOST_CLUSTERS).map(({ cluster, images }) => [cluster, images]),
  );
  return picture(
    {
      id: 'map',
      height: HEIGHT,
      title: 'Map',
      description: `${points.x.length} of the rows, in ${counted(clusters.length, 'cluster')}: rows that are near each other in all dimensions are near each other here.`,
      hasParts: montages.size > 0,
    },
    '<style>.montage{visibility:hidden;pointer-events:none}.spot:hover .montage,.spot:focus .montage{visibility:visible}.spot{outline:none}.spot:focus circle{stroke:#ffffff;stroke-width:2}</style>',
    clipped('map-in', BOX, dots(groups, 0.6, plane)),
    // The one that shows its montage has to be above all numbers.
    ...numbered.reverse().map(({ cluster, centre }) => number(cluster, centre)),
    ...numbered.map(({ cluster, centre }) =>
      spot(cluster, centre, exemplars, montages.get(cluster)?.slice(0, MOST_IMAGES) ?? []),
    ),
  );
}

type Place = readonly [number, number];

const number = (cluster: number, [cx, cy]: Place): string =>
  `<g class="number"><path d="M${num(cx)} ${num(cy)}${markerPath('circle', NUMBER)}" fill="#1b1e23" stroke="#ffffff"/>` +
  text(cx, cy + 4.2, String(cluster), { anchor: 'middle', bold: true, size: 11.5, fill: '#ffffff' }) +
  '</g>';

/** What appears where the pointer is on the number; nothing without images. */
function spot(cluster: number, [cx, cy]: Place, exemplars: ExemplarView | null, images: Float32Array[]) {
  if (!exemplars || !images.length) return '';
  const { shape, range } = exemplars;
  const [rows, across] = [Math.ceil(images.length / ACROSS), Math.min(ACROSS, images.length)];
  const [width, height] = [across * SIDE + 8, rows * SIDE + 8];
  const left = Math.min(Math.max(BOX.left, cx - width / 2), BOX.right - width);
  const top = cy + 14 + height > BOX.bottom ? cy - 14 - height : cy + 14;
  const montage = images.map(
    (values, i) =>
      `<image x="${num(left + 5 + (i % ACROSS) * SIDE)}" y="${num(top + 5 + Math.floor(i / ACROSS) * SIDE)}" width="${SIDE - 2}" height="${SIDE - 2}" style="image-rendering:pixelated" href="${imageUri(values, shape, range)}"/>`,
  );
  return `<g class="spot" data-cluster="${cluster}" tabindex="0" role="img" aria-label="Images of cluster ${cluster}"><circle cx="${num(cx)}" cy="${num(cy)}" r="${NUMBER + 2}" fill-opacity="0"/><g class="montage"><rect x="${num(left)}" y="${num(top)}" width="${num(width)}" height="${num(height)}" rx="4" fill="#ffffff" stroke="#59606b"/>${montage.join('')}</g></g>`;
}
