import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assertDistinctFiles, createAtomicFile } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { isFileOf } from '../data/file-names.ts';
import type { ImageOptions } from '../data/open-options.ts';
import type { Source } from '../data/source.ts';
import { countFlags } from '../data/steps/fences.ts';
import { namesOfRows } from '../data/texts/texts.ts';
import { NOISE, renumberLabels } from '../model/order.ts';
import { ofOneRun } from '../run/finished-run.ts';
import { createLabelTable, labelFormatOf } from '../run/label-file.ts';
import { nameOfRows } from '../run/label-table.ts';
import { kindsOf, settingsOf } from '../run/option.ts';
import { cutOf, type RunCut, toCut } from '../run/passes/cut.ts';
import {
  type LabelledPiece,
  openPredictor,
  type PredictInput,
  type Predictor,
} from '../run/passes/predict.ts';
import { imageLines } from '../run/row-files.ts';
import { assertNotOfRun } from '../run/run-path.ts';
import { CLUSTERS, readClusterNames } from '../run/saved-clusters.ts';
import { readTrainedModel, type TrainedModel } from '../run/trained-model.ts';
import { AbortError } from './abort-error.ts';
import { assertOptions, assertWritable, fixedPaths, HOOKS, type OptionKinds } from './arguments.ts';
import { PREDICT } from './command-options.ts';
import { type Data, sourceOf } from './inputs.ts';
import { predictedColumns } from './predicted-columns.ts';
import { createSink, withArrays } from './written-arrays.ts';

/** Labels of new rows, in memory or in a file. Options → run/passes/predict.ts → result; it loads nothing of the trainer, and no reader of a format. */

/** Options of `predict`. */
export interface PredictOptions {
  /** The directory of a finished run. */
  run: string;
  /** The rows to label, with as many columns as the run's own data. Arrays must not change until the promise settles. */
  data: Data;
  /** Leave out images of a folder that cannot be decoded; else they are an error. */
  skipBad?: boolean;
  /**
   * Write the labels to this file, by its ending: .npy (int32, N), or .csv or .parquet, with the columns of `labels.csv` that are known. The .npy
   * file is read again when `labels` are first accessed.
   */
  out?: string;
  /** Also compute responsibilities, N×K, float32: true keeps them in memory, a path writes them to that .npy file. */
  soft?: boolean | string;
  /** Also say the component of each row in the mixture; a table has it too. */
  components?: boolean;
  /** Also say where rows are on the map of the run. */
  map?: boolean;
  /**
   * Write the paths of the images to this text file, one a line, in the order of the labels. Only where `data` is a folder of
   * images.
   */
  images?: string;
  /**
   * Label with so many clusters, from 1 to those of the run, as `cut` gives them. Responsibilities of clusters that are joined are added.
   */
  clusters?: number;
  /** Overwrite existing files. If false, they are an error. */
  force?: boolean;
  /** Cancels the call: no files are written, and the promise rejects with an `AbortError`. */
  signal?: AbortSignal;
  /**
   * Called with messages for people, on how this differs from the run: another backend, or a CSV column that is left out.
   */
  log?: (line: string) => void;
  /** Called with how far reading and labelling are, many times a second: a text that the next one replaces. */
  status?: (text: string) => void;
}

/** The labels of new rows. */
export interface Prediction {
  /** Number N of rows. */
  readonly rows: number;
  /** Number of outliers, by the limits of the run: rows that are far from all on which it was trained. */
  readonly outliers: number;
  /**
   * Number K of clusters of the model, those without rows in the run last. Labels are from 0 to K − 1, and responsibilities have K columns. With the
   * option `clusters`, that number.
   */
  readonly k: number;
  /**
   * The label of each cluster, K or fewer, in the order of the columns of responsibilities, if the run is an update; else null.
   */
  readonly ids: readonly number[] | null;
  /** The paths of the images that the rows are, below the folder `data`, N; null for other data. */
  readonly images: readonly string[] | null;
  /** The cluster of each row, N. With an .npy file as `out`, read from that on first access. */
  readonly labels: Int32Array;
  /** Responsibilities, N×K, row-major; null without `soft`. If `soft` is a path, read from that file on first access. */
  readonly responsibilities: Float32Array | null;
  /** The component of each row, N, as `mixture/` has them, −1 of noise; null without `components`. */
  readonly components: Int32Array | null;
  /** Where each row is on the map of the run, N×2; null without `map`. */
  readonly map: Float32Array | null;
}

const KINDS: OptionKinds<PredictOptions> = { ...kindsOf(PREDICT), map: 'boolean', ...HOOKS };

/** How rows are read: `formatOf` of data/open.ts, and `openForModel` of run/rows-for-model.ts. */
export interface RowReaders {
  /** UserError where nothing reads what is at this path. */
  formatOf(path: string): string;
  /** UserError where the rows do not fit the model. */
  open(
    trained: TrainedModel,
    run: string,
    data: string | Source,
    hooks: Required<Pick<ImageOptions, 'log' | 'skipBad' | 'warn'>> & Pick<ImageOptions, 'signal' | 'status'>,
  ): Promise<Source>;
}

/** `predict` (predict-files.ts), of rows that are read by these. */
export async function predictRows(options: PredictOptions, read: RowReaders): Promise<Prediction> {
  assertOptions('predict', options, KINDS, ['run', 'data']);
  const {
    run,
    skipBad,
    out,
    soft = false,
    components,
    images,
    clusters,
    force,
  } = settingsOf(PREDICT, options);
  const { data, map = false, log = () => {}, status, signal } = options;
  const softOut = typeof soft === 'string' ? soft : undefined;
  const outputs = { '--out': out, '--soft': softOut, '--images': images };
  const paths = fixedPaths();
  const { fix, asGiven } = paths;
  const folder = fix(run);
  const files = { out: fix(out), softOut: fix(softOut), imagesOut: fix(images), force };
  const rowsAt = typeof data === 'string' ? fix(data) : sourceOf(data);
  return paths.naming(async () => {
    // What is read comes before what is written.
    readTrainedModel(folder);
    if (typeof rowsAt === 'string') read.formatOf(rowsAt);
    assertDistinctFiles(outputs, { '--data': typeof data === 'string' ? data : undefined });
    for (const [flag, path] of Object.entries(outputs))
      if (path && typeof data === 'string' && isFileOf(data, path))
        throw new UserError(`${flag} ${path} is one of the files of --data ${data}; choose another path`);
    assertNotOfRun(run, outputs);
    assertWritable(outputs, force);
    const format = out === undefined ? null : labelFormatOf(out);
    const details = format !== null && format !== '.npy';
    const hooks = {
      log: (line: string) => log(asGiven(line)),
      status: status && ((text: string) => status(asGiven(text))),
      signal,
    };
    const what = { soft: soft !== false, details, map: map || details, components };
    // All of the same run, also if another takes its place meanwhile.
    const opened = ofOneRun(folder, (at) => {
      const trained = readTrainedModel(at, what);
      return {
        trained,
        joined: clusters === undefined ? null : cutOf(toCut(trained.files, trained.ids), clusters),
        names:
          details && trained.measured && existsSync(join(at, CLUSTERS))
            ? readClusterNames(trained.files)
            : [],
      };
    });
    const warn = (message: string) => hooks.log(`dpmesh: warning: ${message}`);
    const source = await read.open(opened.trained, folder, rowsAt, { ...hooks, skipBad, warn });
    const name = typeof rowsAt === 'string' ? rowsAt : 'data';
    return label({ run: folder, source, name, ...what, ...hooks }, opened, { ...files, keepsMap: map });
  });
}

/** What is read of the run. */
interface OpenedRun {
  trained: TrainedModel;
  joined: RunCut | null;
  /** What its clusters are called, where that is written. */
  names: ReturnType<typeof readClusterNames>;
}

/** Labels the rows and writes the files, whose paths are absolute. */
async function label(
  input: Omit<PredictInput, 'trained'> & { status?: (text: string) => void },
  { trained, joined, names }: OpenedRun,
  {
    out,
    softOut,
    imagesOut,
    keepsMap,
    force,
  }: { out?: string; softOut?: string; imagesOut?: string; keepsMap: boolean; force: boolean },
): Promise<Prediction> {
  const { soft, details = false, status, signal } = input;
  const predictor = await openPredictor({ ...input, trained, ...(joined && { units: joined.k }) });
  const { rows, images } = predictor;
  const k = joined ? joined.groups.length : predictor.k;
  const sinks: { finish(): void; abort(): void }[] = [];
  const opened = <Sink extends (typeof sinks)[number]>(sink: Sink): Sink => {
    sinks.push(sink);
    return sink;
  };
  try {
    const labels = opened(createSink<Int32Array>(details ? undefined : out, '<i4', [rows], force));
    const table = details
      ? opened(await predictionTable(out!, predictor, input, joined ? null : names, force))
      : null;
    const responsibilities = soft ? opened(createSink<Float32Array>(softOut, '<f4', [rows, k], force)) : null;
    if (imagesOut !== undefined) opened(imagesSink(imagesOut, images, force));
    const { ids, has } = predictor;
    const components = has.component ? new Int32Array(rows) : null;
    const map = keepsMap && has.map ? new Float32Array(2 * rows) : null;
    let outliers = 0;
    for await (const piece of predictor.pieces()) {
      if (piece.outliers) outliers += countFlags(piece.outliers);
      if (joined) renumberLabels(piece.labels, joined.place);
      labels.write(
        joined || !ids ? piece.labels : piece.labels.map((label) => ids[label] ?? NOISE),
        piece.start,
      );
      if (joined && piece.responsibilities)
        piece.responsibilities = added(piece.responsibilities, predictor.k, joined);
      responsibilities?.write(piece.responsibilities!, piece.start * k);
      components?.set(piece.component!, piece.start);
      if (map) map.set(piece.map!, 2 * piece.start);
      await table?.write(piece);
      const done = piece.start + piece.labels.length;
      status?.(`labelling ${Math.floor((100 * done) / rows)} %`);
    }
    await table?.complete();
    for (const { finish } of sinks) finish();
    const arrays = { labels: labels.read, responsibilities: responsibilities?.read ?? (() => null) };
    return withArrays(
      { rows, outliers, k, ids: joined ? null : ids, images },
      { ...arrays, components: () => components, map: () => map },
    );
  } catch (error) {
    for (const { abort } of sinks) abort();
    throw signal?.aborted ? new AbortError('predict was stopped', { cause: signal.reason }) : error;
  } finally {
    predictor.close();
  }
}

/** The responsibilities of groups: the sum of those of their clusters. `units`: outputs of the model. */
function added(responsibilities: Float32Array, units: number, { place, groups }: RunCut): Float32Array {
  const rows = responsibilities.length / units;
  const sums = new Float64Array(rows * groups.length);
  for (let row = 0; row < rows; row++)
    for (let cluster = 0; cluster < place.length; cluster++)
      sums[row * groups.length + place[cluster]] += responsibilities[row * units + cluster];
  return Float32Array.from(sums);
}

function imagesSink(path: string, names: readonly string[] | null, replace: boolean) {
  if (!names) throw new UserError(`--images ${path} needs a folder of images as --data: leave it out`);
  const file = createAtomicFile(path, { replace });
  file.write(imageLines(names), 0);
  return file;
}

/** Starts the .csv or .parquet of a prediction: what `labels.csv` has of the run's rows, as far as it is known. */
async function predictionTable(
  path: string,
  predictor: Predictor,
  { name, log }: Pick<PredictInput, 'log' | 'name'>,
  /** Of the clusters; null: they are joined, and no distances from their centres are known. */
  called: OpenedRun['names'] | null,
  force: boolean,
) {
  const { images, gaussian, has } = predictor;
  const [quantiles, numbers] = called ? [predictor.quantiles, predictor.ids] : [null, null];
  const id = images ? null : await idOf(predictor, log);
  const source = { images: images ?? undefined, texts: predictor.texts };
  const names = namesOfRows(source, { data: name, id });
  const columns = predictedColumns({ quantiles, gaussian, ids: numbers, has }, called ?? []);
  const hasIds = names !== null;
  const rowsName = nameOfRows(images ? 'image' : id);
  const table = await createLabelTable(path, rowsName, columns.names, { hasIds, force });
  return {
    async write({ start, ...labelled }: LabelledPiece): Promise<void> {
      const ids = names && (await names.next(labelled.labels.length));
      table.write({ start, ids, columns: columns.of(labelled) });
    },
    /** Everything is written. */
    async complete(): Promise<void> {
      await names?.end();
      table.end();
    },
    finish: table.finish,
    abort() {
      table.abort();
      void names?.close();
    },
  };
}

/** The column that names the rows, if the data have it. */
async function idOf({ id, texts }: Predictor, log: (line: string) => void): Promise<string | null> {
  if (id === null || !texts) return null;
  try {
    for await (const _ of texts(id)) break;
    return id;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`rows have their numbers as names: ${error.message}`);
    return null;
  }
}
