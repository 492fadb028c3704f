import { counted } from '../../base/quantities.ts';
import { imageUri } from '../../data/images/folder.ts';
import { markerPath, markerStyle, num, picture, text } from '../drawing/svg.ts';
import { escaped, shortNumber } from '../drawing/text.ts';
import { type ExemplarView, MOST_BORDER, MOST_CLUSTERS, MOST_IMAGES } from './exemplars.ts';

const TOP = 26;
const LABELS = 112;
const SIDE = 44;
const GAP = 6;

/** A line for each cluster: its rows nearest to the centre, after the decoded centre if there is one. */
export function exemplarPicture(view: ExemplarView): string {
  const clusters = view.clusters.slice(0, MOST_CLUSTERS);
  const hasDecoded = clusters.some(({ decoded }) => decoded);
  const step = SIDE + GAP;
  const nearest = LABELS + (hasDecoded ? SIDE + 3 * GAP : 0);
  const doubtful = nearest + MOST_IMAGES * step + 2 * GAP;
  const image = (values: Float32Array, x: number, y: number, row?: number) =>
    `<g transform="translate(${num(x)} ${num(y)})">${pixelsOf(values, view, row)}</g>`;
  return picture(
    {
      id: 'exemplars',
      width: doubtful + MOST_BORDER * step + 8,
      height: TOP + step * clusters.length + 4,
      title: 'What clusters look like',
      description: `Images of ${clusters.length === view.k ? counted(view.k, 'cluster') : `the ${clusters.length} largest of ${counted(view.k, 'cluster')}`}: the rows nearest to their centres${hasDecoded ? ', after what the decoder makes of the mean code' : ''}.`,
    },
    ...(hasDecoded ? [text(LABELS, 17, 'decoded', { tone: 'mute', size: 11 })] : []),
    text(nearest, 17, 'nearest to the centre', { tone: 'mute', size: 11 }),
    ...(clusters.some(({ border }) => border.at.length)
      ? [text(doubtful, 17, 'nearest to another cluster', { tone: 'mute', size: 11 })]
      : []),
    ...clusters.flatMap(({ cluster, rows, decoded, images, at, border }, i) => {
      const y = TOP + step * i;
      const { colour, shape } = markerStyle(cluster);
      const size = rows < 1e6 ? Math.round(rows).toLocaleString('en') : shortNumber(rows);
      return [
        `<path d="M14 ${num(y + SIDE / 2)}${markerPath(shape, 4.5)}" fill="${colour}"/>`,
        text(26, y + SIDE / 2 + 4, String(cluster), { bold: true, size: 11.5 }),
        text(LABELS - 12, y + SIDE / 2 + 4, size, { anchor: 'end', tone: 'mute', size: 11.5 }),
        ...(decoded ? [image(decoded, LABELS, y)] : []),
        ...images.map((values, j) => image(values, nearest + step * j, y, at[j])),
        ...border.images.map((values, j) => image(values, doubtful + step * j, y, border.at[j])),
      ];
    }),
  );
}

/** The image of a row in a square at the origin. */
function pixelsOf(values: Float32Array, { shape, range }: ExemplarView, row?: number): string {
  const longest = Math.max(shape.width, shape.height);
  const [w, h] = [shape.width, shape.height].map((side) => (SIDE * side) / longest);
  const of = row === undefined ? '' : ` id="row-${row}" data-row="${row}"`;
  return `<image${of} x="${num((SIDE - w) / 2)}" y="${num((SIDE - h) / 2)}" width="${num(w)}" height="${num(h)}" image-rendering="pixelated" href="${imageUri(values, shape, range)}"/>`;
}

/** For cards: a small picture of each row, by its number. Each image is in a file once: cards show those of the picture again. */
export function cardImages(view: ExemplarView): Map<number, string> {
  const inPicture = view.clusters.slice(0, MOST_CLUSTERS).flatMap(({ at, border }) => [...at, ...border.at]);
  const images = new Map(inPicture.map((row) => [row, `<use href="#row-${row}"/>`]));
  for (const { border, ...nearest } of view.clusters)
    for (const { at, images: pixels } of [nearest, border])
      for (const [i, row] of at.entries())
        if (!images.has(row)) images.set(row, pixelsOf(pixels[i], view, row));
  return new Map(
    [...images].map(([row, content]) => [
      row,
      `<svg class="row-image" viewBox="0 0 ${SIDE} ${SIDE}" width="${SIDE}" height="${SIDE}" role="img" aria-label="${escaped(`Image of row ${row}`)}">${content}</svg>`,
    ]),
  );
}
