import type { ImageShape } from '../../data/images/folder.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { sampledRanges } from '../drawing/display-sample.ts';
import type { ModelView } from '../drawing/model-view.ts';
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
export const MOST_CLUSTERS = 40;
const MOST_CARDS = 200;
export const [MOST_IMAGES, MOST_BORDER] = [8, 4];

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
