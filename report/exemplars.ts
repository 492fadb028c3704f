import type { ImageShape } from '../data/images/folder.ts';
import type { Source } from '../data/source.ts';
import { modelRows, networkRows, unitRows } from '../data/transform.ts';
import type { Seed } from '../model/random.ts';
import type { FittedModel } from './fitted-model.ts';
import { type RowReader, sampleRanges } from './row-reader.ts';
import { occupied } from './views.ts';

/** What clusters of images look like. */

export interface ExemplarView {
  shape: ImageShape;
  /** What is drawn black, and white. */
  range: [number, number];
  /** The largest ones, of which the picture shows the first `MOST_CLUSTERS`. */
  clusters: Exemplars[];
  /** Of how many. */
  k: number;
}

export interface Exemplars {
  cluster: number;
  rows: number;
  /** What the decoder makes of the mean code; null without an encoder. */
  decoded: Float32Array | null;
  /** Rows that are nearest to the centre, nearest first: of all, or of a sample. */
  images: Float32Array[];
  /** Which these are. */
  at: number[];
}

export interface ExemplarInput {
  fitted: FittedModel;
  /** The rows that were clustered: codes, if there is an encoder. */
  reader: RowReader;
  source: Source;
  /** The images of the same rows. */
  images: { source: Source; shape: ImageShape };
  /** Raw rows from codes. */
  decode: ((codes: Float32Array) => Float32Array) | null;
  seed: Seed;
  /** For each cluster its rows that are nearest to the centre; null where only a sample can tell. */
  typical: ReadonlyMap<number, readonly number[]> | null;
}

/** Clusters in the picture, and those whose cards have images. */
export const MOST_CLUSTERS = 40;
const MOST_CARDS = 200;
export const MOST_IMAGES = 8;
/** Rows that are searched: about as many for each cluster that is shown, but at least so many in all. */
const SEARCHED_EACH = 200;
const SEARCHED = 4_000;

/** The rows nearest to the centre of each cluster, and the decoded mean code. */
export async function exemplarView(input: ExemplarInput): Promise<ExemplarView> {
  const { fitted, images, decode, typical } = input;
  const clusters = occupied(fitted);
  const drawn = clusters.slice(0, MOST_CLUSTERS);
  const sampled = decode || !typical ? await searchSample(input, drawn) : null;
  const result: Exemplars[] = [];
  for (const cluster of typical ? clusters.slice(0, MOST_CARDS) : drawn) {
    const { n = 0, sum, near = [] } = sampled?.get(cluster) ?? {};
    const at = (typical ? (typical.get(cluster) ?? []) : near.map(({ row }) => row)).slice(0, MOST_IMAGES);
    const pictures: Float32Array[] = [];
    for (const row of at) pictures.push(await images.source.read(row, 1));
    const decoded = decode && sum && n ? decode(Float32Array.from(sum, (value) => value / n)) : null;
    result.push({ cluster, rows: fitted.rows[cluster], decoded, images: pictures, at });
  }
  return {
    shape: images.shape,
    range: rangeOf(images.source.dtype, result),
    clusters: result,
    k: clusters.length,
  };
}

/** Of each of these clusters the number of its rows in a sample, their sum, and those nearest to the centre. */
async function searchSample(
  { fitted: { transform, mixture }, reader, source, seed }: ExemplarInput,
  shown: readonly number[],
) {
  const { dim } = transform;
  const found = new Map(
    shown.map((k) => [k, { n: 0, sum: new Float64Array(source.dim), near: [] as Near[] }]),
  );
  const wanted = Math.max(SEARCHED, SEARCHED_EACH * shown.length);
  for (const range of sampleRanges(source.rows, wanted, seed)) {
    const labels = await reader.labels(range);
    const raw = await source.read(range.start, range.count);
    const used = raw.slice();
    unitRows(transform, used);
    const x = modelRows(transform, networkRows(transform, used));
    for (const [i, label] of labels.entries()) {
      const own = found.get(label);
      if (!own) continue;
      own.n++;
      for (let j = 0; j < source.dim; j++) own.sum[j] += raw[i * source.dim + j];
      let distance = 0;
      for (let j = 0; j < dim; j++) distance += (x[i * dim + j] - mixture.means[label][j]) ** 2;
      own.near.push({ row: range.start + i, distance });
      own.near.sort((a, b) => a.distance - b.distance || a.row - b.row).splice(MOST_IMAGES);
    }
  }
  return found;
}

interface Near {
  row: number;
  distance: number;
}

/** That of bytes, or of the numbers in the rows. */
function rangeOf(dtype: string, clusters: Exemplars[]): [number, number] {
  if (dtype === 'uint8') return [0, 255];
  let [low, high] = [Infinity, -Infinity];
  for (const { images } of clusters)
    for (const image of images)
      for (const value of image) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  return low <= high ? [low, high] : [0, 1];
}
