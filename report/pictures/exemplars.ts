import { imageUri } from '../../data/images/folder.ts';
import { counted } from '../../view/counted.ts';
import { shortNumber } from '../axes.ts';
import { type ExemplarView, MOST_CLUSTERS, MOST_IMAGES } from '../exemplars.ts';
import { markerPath, markerStyle } from '../markers.ts';
import { num, picture, text } from '../svg.ts';

const TOP = 26;
const LABELS = 112;
export const SIDE = 44;
const GAP = 6;

/** The image of a row in a square of this side, at the origin. */
export function rowImage(
  values: Float32Array,
  { shape, range }: Pick<ExemplarView, 'shape' | 'range'>,
  row?: number,
): string {
  const [w, h] = [shape.width, shape.height].map(
    (side) => (SIDE * side) / Math.max(shape.width, shape.height),
  );
  const of = row === undefined ? '' : ` id="row-${row}" data-row="${row}"`;
  return `<image${of} x="${num((SIDE - w) / 2)}" y="${num((SIDE - h) / 2)}" width="${num(w)}" height="${num(h)}" style="image-rendering:pixelated" href="${imageUri(values, shape, range)}"/>`;
}

/** A line for each cluster: its rows nearest to the centre, after the decoded centre if there is one. */
export function exemplarPicture(view: ExemplarView): string {
  const { shape, range, k } = view;
  const clusters = view.clusters.slice(0, MOST_CLUSTERS);
  const hasDecoded = clusters.some(({ decoded }) => decoded);
  const step = SIDE + GAP;
  const height = TOP + step * clusters.length + 4;
  const nearest = LABELS + (hasDecoded ? SIDE + 3 * GAP : 0);
  const image = (values: Float32Array, x: number, y: number, row?: number) =>
    `<g transform="translate(${num(x)} ${num(y)})">${rowImage(values, { shape, range }, row)}</g>`;
  return picture(
    {
      id: 'exemplars',
      height,
      title: 'What clusters look like',
      description: `Images of ${clusters.length === k ? counted(k, 'cluster') : `the ${clusters.length} largest of ${counted(k, 'cluster')}`}: the rows nearest to their centres${hasDecoded ? ', after what the decoder makes of the mean code' : ''}.`,
    },
    ...(hasDecoded ? [text(LABELS, 17, 'decoded', { tone: 'mute', size: 11 })] : []),
    text(nearest, 17, 'nearest to the centre', { tone: 'mute', size: 11 }),
    ...clusters.flatMap(({ cluster, rows, decoded, images, at }, i) => {
      const y = TOP + step * i;
      const { colour, shape: marker } = markerStyle(cluster);
      return [
        `<path d="M14 ${num(y + SIDE / 2)}${markerPath(marker, 4.5)}" fill="${colour}"/>`,
        text(26, y + SIDE / 2 + 4, String(cluster), { bold: true, size: 11.5 }),
        text(LABELS - 12, y + SIDE / 2 + 4, rows < 1e6 ? rows.toLocaleString('en') : shortNumber(rows), {
          anchor: 'end',
          tone: 'mute',
          size: 11.5,
        }),
        ...(decoded ? [image(decoded, LABELS, y)] : []),
        ...images.slice(0, MOST_IMAGES).map((values, j) => image(values, nearest + step * j, y, at[j])),
      ];
    }),
  );
}
