import { yieldToEventLoop } from '../base/slices.ts';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import type { ImageOptions } from '../data/images/images.ts';
import { tuple } from '../data/npy.ts';
import { isImageFolder, openSource } from '../data/open.ts';
import { readSpans } from '../data/remote/read-ahead.ts';
import { readSavedCentres } from '../data/saved/row-files.ts';
import { columnWatch, readTrainedModel, type TrainedModel } from '../data/saved/trained-model.ts';
import type { Source } from '../data/source.ts';
import type { Transform } from '../data/transform.ts';
import { diagnoseRow, formatNumber, MAX_FLOAT32 } from '../data/value-range.ts';
import { MAX_MAGNITUDE } from '../model/arrays.ts';
import { type Centres, distancesFrom } from '../model/description/distances.ts';
import { CLOSED } from '../model/state.ts';
import { FORWARD_ROWS } from '../proto/tasks.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { assertAddressSpaceFor, loadBackend } from './compute/backends/load.ts';
import { forward } from './compute/mlp.ts';
import { transformRows } from './rows.ts';
import { encodeRows } from './tasks/encoder.ts';

export interface PredictInput {
  /** The directory of a finished run. */
  run: string;
  /** Rows that are in a file, or the source of others. */
  data: string | Source;
  /** Responsibilities too. */
  soft: boolean;
  /** How sure the labels are, and how far rows lie from the centres. */
  details?: boolean;
  /** So many of the first output units may have rows, which others then never get; all by default. */
  units?: number;
  /** Images that cannot be decoded are left out. */
  skipBad?: boolean;
  /** Says what differs from the run. */
  log: (line: string) => void;
  /** Says how far reading is. */
  status?: (text: string) => void;
  signal?: AbortSignal;
}

/** Rows with their labels: those of rows `start …`. */
export interface Labelled {
  start: number;
  labels: Int32Array;
  /** Row-major, a row of K each; null without `soft` or `details`. */
  responsibilities: Float32Array | null;
  /** Which rows are outliers, 1 or 0; null if the run has none. */
  outliers: Uint8Array | null;
  /** Distances from the centres of the rows' clusters; null without `details`, and if an earlier version trained the run. */
  distance: Float32Array | null;
}

/** A run's net, ready to label rows. */
export interface Predictor {
  rows: number;
  k: number;
  /** The paths of images below their folder, by row; null for other data. */
  images: readonly string[] | null;
  /** What names the rows: the texts of the column that named those of the run, if the data have it. */
  texts: Source['texts'];
  /** That column, or the one by which the data name their rows; null where there is none. */
  id: string | null;
  /** Of the distances of the run's rows, by cluster; null if an earlier version trained it. */
  quantiles: Float32Array | null;
  /** The quantile of `--outliers`. */
  outliers: number | null;
  /** All rows, in pieces and in their order: the same bits as the run's own labels.npy on its own data. */
  pieces(): AsyncGenerator<Labelled>;
  close(): void;
}

/** Loads the net and opens the data. UserError where the run is not finished, or the data do not fit it. */
export async function openPredictor({
  run,
  data,
  soft,
  details = false,
  units,
  skipBad = false,
  log,
  status,
  signal,
}: PredictInput): Promise<Predictor> {
  const trained = readTrainedModel(run);
  const { transform, encoder, net, backendName, names, images, table, moments } = trained;
  const columns = encoder ? encoder.input.factor.length : transform.input;
  const name = typeof data === 'string' ? data : 'data';
  const warn = (message: string) => log(`dpmesh: warning: ${message}`);
  if (typeof data === 'string' && isImageFolder(data)) assertTrainedOnBytes(trained, data, run);
  const source =
    typeof data === 'string'
      ? await openSource(data, {
          table: {
            ...table,
            // Every row gets a label.
            impute: table.impute === 'drop' ? null : table.impute,
            trained: { names, fill: table.fill, categories: table.categories, width: columns, run },
          },
          log,
          status,
          images: { ...imagesOf(images), skipBad, warn, log, status, signal },
        })
      : data;
  try {
    if (source.table?.note) warn(source.table.note);
    if (source.table?.filled) log(`predict: ${source.table.filled}`);
    if (source.images && images) assertSameShape(name, source.shape!, images.shape, run);
    if (source.dim !== columns)
      throw new UserError(
        `${name} has ${source.dim} columns, the run ${run} was trained on ${columns}: pass rows of the same columns`,
      );
    assertAddressSpaceFor('wasm');
    const backend = await loadBackend(backendName).catch((error) => {
      if (!(error instanceof UserError)) throw error;
      log(`predict: on wasm, and a row at an edge may get another label than in the run: ${error.message}`);
      return loadBackend('wasm');
    });
    if (units !== undefined) net.at(-1)!.values.fill(CLOSED, units);
    const upload = (parts: typeof net) => parts.map(({ values, shape }) => backend.upload(values, shape));
    const layers = upload(net);
    const encoding = encoder && upload(encoder.layers);
    const codesOf = async (raw: Float32Array) =>
      encoding ? encodeRows(backend, encoding, encoder!.input, raw) : raw;
    const measured = details
      ? readSavedCentres(trained.files, net.at(-1)!.values.length, transform.dim)
      : null;
    const pieces = Array.from({ length: Math.ceil(source.rows / FORWARD_ROWS) }, (_, i) => ({
      start: i * FORWARD_ROWS,
      count: Math.min(FORWARD_ROWS, source.rows - i * FORWARD_ROWS),
    }));
    // Columns that both have names for were found by them.
    const watch = moments && !source.shape && !(source.names && names) ? columnWatch(moments) : null;
    const largest = transform.normalize && !transform.before ? MAX_FLOAT32 : MAX_MAGNITUDE;
    return {
      rows: source.rows,
      images: source.images ?? null,
      texts: source.texts,
      id: table.id ?? source.id ?? null,
      outliers: trained.outliers,
      quantiles: measured?.quantiles ?? null,
      k: net.at(-1)!.values.length,
      async *pieces() {
        let start = 0;
        for await (const raw of readSpans(source, pieces)) {
          // Signals arrive between two turns of the event loop.
          await yieldToEventLoop();
          signal?.throwIfAborted();
          const bad = raw.findIndex((value) => !(Math.abs(value) <= largest));
          if (bad >= 0) throw await unusable(source, start + Math.floor(bad / source.dim), name, largest);
          watch?.add(raw);
          yield {
            start,
            ...(await label(
              backend,
              transform,
              layers,
              await codesOf(raw),
              soft || details,
              measured?.centres ?? null,
            )),
          };
          start += raw.length / source.dim;
        }
        await source.assertSameFile?.();
        const moved = watch?.moved();
        if (moved) warn(movedText(name, moved, run));
      },
      close() {
        backend.free(...layers, ...(encoding ?? []));
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

async function label(
  backend: Backend,
  transform: Transform,
  net: Tensor[],
  raw: Float32Array,
  soft: boolean,
  centres: Centres | null,
) {
  const { scaled, rows, outliers } = await transformRows(backend, transform, raw);
  const layers = forward(backend, net, scaled);
  const labels = await backend.argmaxRows(layers.at(-1)!);
  const r = soft ? backend.softmaxRows(layers.at(-1)!, 0) : null;
  const responsibilities = r && (await backend.read(r));
  backend.free(scaled, ...layers, ...(r ? [r] : []));
  const distance = centres && distancesFrom(centres, rows, labels);
  return { labels, responsibilities, outliers, distance };
}

const MOST_MOVED = 4;

function movedText(name: string, moved: Map<number, number>, run: string): string {
  const some = [...moved]
    .slice(0, MOST_MOVED)
    .map(([from, to]) => `column ${from + 1} like column ${to + 1}`);
  const more = moved.size > MOST_MOVED ? ', …' : '';
  return `${name} looks as if its columns were in another order than those of the run ${run} (${some.join(', ')}${more}): without names they are taken in that of the run`;
}

/** Images become rows like those of the run. */
function imagesOf(trained: TrainedModel['images']): Pick<ImageOptions, 'size' | 'channels'> {
  if (!trained) return { size: null };
  const [height, width, channels] = trained.shape;
  const size = trained.isScaled ? `${width}x${height}` : null;
  return { size, channels: channels === 3 ? 3 : 1 };
}

/** UserError if pixels from 0 to 255 are not what the run knows: rows of other types mostly have pixels from 0 to 1. */
function assertTrainedOnBytes({ dtype, images }: TrainedModel, data: string, run: string): void {
  if (dtype === 'uint8') return;
  const trained = oneLine(`${dtype ?? 'unknown'} ${images ? 'images' : 'rows'}`);
  throw new UserError(
    `the run ${run} was trained on ${trained}, a folder has bytes: save the images of ${data} as an .npy like that of the run`,
  );
}

/** UserError if images have another size than those of the run, or if its rows have their pixels in another order. */
function assertSameShape(
  name: string,
  shape: readonly number[],
  trained: readonly number[],
  run: string,
): void {
  // One channel is none.
  const same = [shape, trained].map((lengths) => lengths.filter((length, i) => i < 2 || length !== 1).join());
  if (same[0] !== same[1])
    throw new UserError(
      `${name} has images of shape ${tuple(shape)} (height, width, channels), the run ${run} was trained on rows of shape ${tuple(trained)}: scale them to the same size`,
    );
}

async function unusable(source: Source, row: number, data: string, largest: number): Promise<UserError> {
  const { where, isLarge } = await diagnoseRow(source, row, largest);
  const what = isLarge
    ? `a value larger than the supported maximum (${formatNumber(largest)}); remove the row`
    : 'NaN or infinite values; remove the row or fill them';
  return new UserError(`${data}: ${where} has ${what}`);
}
