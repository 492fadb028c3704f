import { type ImageShape, imageUri } from '../../data/images/folder.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { type ModelView, sampledRanges } from '../drawing/model-view.ts';
import { markerPath, markerStyle, num, picture, text } from '../drawing/svg.ts';
import { counted, escaped, shortNumber } from '../drawing/text.ts';
import { rangeOf } from '../rows.ts';

/** What clusters of images look like: the rows nearest to their centres, and what a decoder makes of a mean code. */

/** `range`: what is drawn black, and white; `clusters`: the largest of `k`, of which the picture shows the first `MOST_CLUSTERS`. */
export type ExemplarView = Awaited<ReturnType<typeof exemplarView>>;

interface Exemplars {
  /** Its label. */
  cluster: number;
  rows: number;
  /** What the decoder makes of the mean code; null without an encoder, and of a cluster with several components, whose mean may be outside it. */
  decoded: Float32Array | null;
  /** Rows that are nearest to the centre, nearest first: of all, or of a sample. */
  images: Float32Array[];
  /** Which these are. */
  at: number[];
  /** Rows that are nearest to another cluster. */
  border: { images: Float32Array[]; at: number[] };
}

/** Clusters in the picture, and those whose cards have images. */
const MOST_CLUSTERS = 40;
const MOST_CARDS = 200;
const [MOST_IMAGES, MOST_BORDER] = [8, 4];

export interface ExemplarInput {
  view: ModelView;
  /** For each cluster its rows that are nearest to the centre. */
  typical: (cluster: number) => readonly number[];
  /** Those that are nearest to another cluster. */
  border?: (cluster: number) => readonly number[];
  images: { source: Source; shape: ImageShape };
  /** What was clustered, and raw rows from that; null without an encoder. */
  codes: { source: Source; decode(codes: Float32Array): Float32Array } | null;
}

/** Reads the images of the largest clusters. */
export async function exemplarView({ view, typical, border, images, codes }: ExemplarInput) {
  const rowsOf = (cluster: number) => view.clusters[cluster].rows;
  const largest = [...view.clusters.keys()]
    .filter((cluster) => rowsOf(cluster) > 1e-6)
    .sort((a, b) => rowsOf(b) - rowsOf(a) || a - b);
  const means = codes && (await meanRows(codes.source, view));
  const clusters: Exemplars[] = [];
  const read = async (at: readonly number[]) => {
    const pixels: Float32Array[] = [];
    for (const row of at) pixels.push(await images.source.read(row, 1));
    return { images: pixels, at: [...at] };
  };
  for (const cluster of largest.slice(0, MOST_CARDS)) {
    const nearest = await read(typical(cluster).slice(0, MOST_IMAGES));
    const others = (border?.(cluster) ?? []).filter((row) => !nearest.at.includes(row));
    const mean = clusters.length < MOST_CLUSTERS && means?.[cluster];
    const isOne = view.clusters[cluster].components.length === 1;
    const decoded = codes && mean && isOne ? codes.decode(mean) : null;
    clusters.push({
      ...{ cluster: view.clusters[cluster].id, rows: rowsOf(cluster), decoded, ...nearest },
      border: await read(others.slice(0, MOST_BORDER)),
    });
  }
  const range = rangeOf(
    images.source.dtype,
    clusters.flatMap((cluster) => cluster.images),
  );
  return { shape: images.shape, range, clusters, k: largest.length };
}

/** The mean of the sample's rows in each cluster; null of those without any. */
async function meanRows(source: Source, { labels, k }: ModelView): Promise<(Float32Array | null)[]> {
  const sums = Array.from({ length: k }, () => new Float64Array(source.dim));
  const counts = new Float64Array(k);
  let at = 0;
  for await (const raw of readSpans(source, sampledRanges(labels.length, source.rows)))
    for (let i = 0; i < raw.length; i += source.dim) {
      const label = labels[at++];
      if (label < 0) continue;
      counts[label]++;
      for (let j = 0; j < source.dim; j++) sums[label][j] += raw[i + j];
    }
  return sums.map((sum, c) => (counts[c] ? Float32Array.from(sum, (value) => value / counts[c]) : null));
}

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
