import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { backendOfIdentity } from '../base/identity.ts';
import { list, record } from '../base/schema.ts';
import { UserError } from '../base/user-error.ts';
import { boundsFrom } from '../data/outlier-bounds.ts';
import { categoriesSchema, type DecodeOptions, type TableOptions } from '../data/tables/table-options.ts';
import type { ColumnMap, Transform } from '../data/transform.ts';
import { MAX_FLOAT32 } from '../data/value-range.ts';
import { elementCount, firstColumns, MAX_MAGNITUDE } from '../model/arrays.ts';
import { clusterCount, type Groups } from '../model/gaussian/components.ts';
import { logBackground } from '../model/gaussian/noise.ts';
import {
  arraysOf,
  type StepName,
  type StepValue,
  savedStepFrom,
  stepProblem,
} from '../model/transform-steps.ts';
import { assertReadable, openFinished, problemOfLists } from './finished-run.ts';
import {
  COMPONENTS,
  readSavedBackground,
  readSavedCentres,
  readSavedDensities,
  readSavedGroups,
  readSavedMap,
  readSavedOffset,
} from './row-files.ts';
import { checked, type RunFiles, readRunJson } from './run-files.ts';

/** The model of a finished run as read from `model/`: transform, classifier, centres. Labels are computed elsewhere, and how it was trained it does not know. */

interface Part {
  values: Float32Array;
  shape: number[];
}

/** What is needed to apply the model of a finished run to other data. */
export interface TrainedModel {
  /** What it is, in hexadecimal: models of the same version give the same labels. */
  version: string;
  transform: Transform;
  /** What makes codes of raw rows, which the transform gets in their place; null: it gets the rows. */
  encoder: { input: ColumnMap; layers: Part[] } | null;
  /** What labels rows, the last of as many numbers as it has outputs: the clustering net, W₁, b₁, W₂, b₂, …; or if `byMixture` its weights, bias and constant. */
  classifier: Part[];
  byMixture: boolean;
  /** The cluster of each of its outputs, where some clusters have several; null: each has one. */
  groups: Groups | null;
  /** The number of clusters, of which some may have no rows. */
  k: number;
  /** log of the density of the background, and what log densities have beside outputs; null where all rows are in clusters. */
  noise: { logDensity: number; offset: number } | null;
  /** The compute backend it was trained on. */
  backendName: string;
  /** The column of the CSV that was used for --labels and is not data. */
  leftOut: string | null;
  /** The element type of the rows that it was trained on; null where run.json does not say. */
  dtype: string | null;
  /** The images that it was trained on: their shape as rows, and whether they were scaled to it; null where they were none. */
  images: { shape: readonly number[]; isScaled: boolean } | null;
  /** The names of the columns that it was trained on; null where they had none, or an earlier version trained it. */
  names: readonly string[] | null;
  /** The means and standard deviations of these columns; null with an encoder, or if an earlier version trained it. */
  moments: ColumnMoments | null;
  /** How the table that it was trained on was read. */
  table: TableOptions & Pick<DecodeOptions, 'fill' | 'categories'>;
  /** The columns that it knows by their logarithms, from 0. */
  logged: readonly number[];
  /** The labels of its clusters, by their numbers; null: these. */
  ids: readonly number[] | null;
  /** The quantile of distances beyond which rows are marked as outliers; null: none. */
  outliers: number | null;
  /** Are its clusters Gaussians, not communities of a graph? */
  isGaussian: boolean;
  /** What distances are measured and log densities computed by; null if an earlier version trained it, or without `details`. */
  measured: ReturnType<typeof measuresOf>;
  /** What places rows on the map; null if an earlier version trained it, or without `map`. */
  mapNet: ReturnType<typeof readSavedMap>;
  /** The other result files of the run. */
  files: RunFiles;
}

/** What is read of a model besides what labels rows. */
export interface ModelParts {
  /** What says how sure labels are, and how far rows lie from the centres. */
  details?: boolean;
  /** What places rows on the map. */
  map?: boolean;
}

/** The number of columns of a raw row. */
export const columnsOf = ({ encoder, transform }: TrainedModel) =>
  encoder ? encoder.input.factor.length : transform.input;

/** Numbers of raw rows that are larger cannot be labelled, nor NaN. */
export const largestOf = ({ transform: { normalize, before } }: TrainedModel): number =>
  normalize && !before ? MAX_FLOAT32 : MAX_MAGNITUDE;

const orNull = <T>(schema: z.ZodMiniType<T>) => z._default(z.nullable(schema), null);
const names = orNull(list(z.string()));
const text = orNull(z.string());
const size = z.int().check(z.positive());
const column = z.int().check(z.nonnegative());
const numbers = list(z.number());
const floats = list(z.number().check(z.minimum(-MAX_FLOAT32), z.maximum(MAX_FLOAT32)));
/** The arrays of a step as lists; null where it is not there. */
const stepLists = <S extends StepName>(name: S) =>
  orNull(
    z.object(
      Object.fromEntries(
        arraysOf(name).map(([array, { type }]) => [array, type === 'int32' ? list(column) : floats]),
      ) as {
        [A in keyof StepValue<S>]: typeof floats;
      },
    ),
  );
const savedTransform = z.object({
  normalize: z.boolean(),
  input: size,
  dim: size,
  columns: z.nullable(list(column)),
  scale: numbers,
  offset: numbers,
  names,
  moments: orNull(z.object({ mean: numbers, deviation: numbers })),
  /** What is done to rows before they are scaled to unit length; most runs, and all of earlier versions, have none. */
  before: stepLists('before'),
  /** The encoder's layer widths, and what is done to rows before it; most runs have none. */
  encoder: orNull(
    z.object({ widths: list(size, z.minLength(2), z.maxLength(64)), factor: floats, shift: floats }),
  ),
  /** Exact values of columns, each of which has a further column; most runs have none. */
  atoms: stepLists('atoms'),
  /** Values that stand for unknown ones, and whole rows by which these are filled; most runs have none. */
  fill: stepLists('fill'),
  /** Where outliers begin; runs without outliers, and of earlier versions, have none. */
  fences: z._default(
    list(z.object({ column, low: z.number(), high: z.number(), least: z.number(), most: z.number() })),
    [],
  ),
});
const savedModel = z.object({
  weightsManifest: z.tuple([z.object({ weights: list(z.object({ name: z.string(), shape: list(size) })) })]),
});
const savedTable = z.object({
  fill: z.nullable(list(z.nullable(z.number()))),
  categories: categoriesSchema,
  aside: z._default(list(z.string()), []),
});
/** What is needed of run.json. */
const aboutSchema = z.object({
  identity: z.nullable(z.string()),
  data: z.prefault(
    z.object({
      dtype: text,
      leftOut: text,
      shape: orNull(list(size)),
      table: orNull(savedTable),
      logged: z._default(list(column), []),
    }),
    {},
  ),
  config: z.prefault(
    z.object({
      imageSize: text,
      columns: names,
      drop: names,
      categorical: names,
      id: text,
      text,
      outliers: orNull(z.number()),
      impute: orNull(z.enum(['mean', 'median', 'drop'])),
      encoding: text,
      sep: text,
      decimal: orNull(z.enum(['.', ','])),
    }),
    {},
  ),
  likelihood: orNull(z.object({ name: z.string() })),
  files: z.optional(record(z.string(), z.string())),
  ids: orNull(list(column)),
  order: orNull(list(column)),
  result: orNull(
    z.object({ k: column, replicates: orNull(z.object({ clusters: z._default(list(z.unknown()), []) })) }),
  ),
  replaces: z.optional(z.boolean()),
});

/**
 * Reads transform and classifier from `model/` of a run directory. UserError if the run is not finished, or if a file is damaged:
 * of another length than its parts have, or of another SHA-256 than run.json says.
 */
export const readTrainedModel = (run: string, parts: ModelParts = {}): TrainedModel =>
  openFinished(run, aboutRun, ({ about, files }) => modelOf(about, files, parts));

function modelOf(
  about: z.infer<typeof aboutSchema>,
  files: RunFiles,
  { details = false, map = false }: ModelParts,
): TrainedModel {
  // With the same backend, labels have the same bits as those of the run.
  const { identity, data, config, likelihood, ids, result } = about;
  const saved = checked(files, 'model/transform.json', savedTransform);
  const { normalize, input, dim, columns, scale, offset, names, encoder, moments } = saved;
  const { before, atoms, fill: filling } = saved;
  const steps = {
    before: before && savedStepFrom('before', before),
    fences: boundsFrom(saved.fences),
    ...(atoms && { atoms: savedStepFrom('atoms', atoms) }),
    ...(filling && { fill: savedStepFrom('fill', filling) }),
  };
  const width = encoder ? encoder.widths[0] : input;
  const flags = atoms?.columns.length ?? 0;
  const have = (length: number, ...lists: ArrayLike<unknown>[]) =>
    lists.every((list) => list.length === length);
  const sound =
    have(dim, scale, offset) &&
    (!names || have(width, names)) &&
    (!moments || have(input, moments.mean, moments.deviation)) &&
    (!encoder || (encoder.widths.at(-1) === input && have(width, encoder.factor, encoder.shift))) &&
    (!before || normalize) &&
    !stepProblem(steps, input) &&
    data.logged.every((column) => column < width) &&
    (!atoms || (columns && !encoder)) &&
    (!columns || (have(dim, columns) && columns.every((column) => column < input + flags)));
  if (!sound) throw files.damaged('model/transform.json', 'its lists do not fit each other');
  const widths = encoder?.widths ?? [input];
  const { layers, byMixture } = readWeights(files, widths, dim, before !== null, flags);
  const encoding = layers.splice(0, 2 * (widths.length - 1));
  const [kernel, bias, ...classifier] = layers;
  const background = readSavedBackground(files);
  if (background) withoutLast(classifier, dim);
  const components = classifier.at(-1)!.values.length;
  const groups = readSavedGroups(files, components);
  const k = clusterCount(components, groups);
  if (result!.k > k) throw files.damaged('run.json', `it is of ${result!.k} clusters, its model of ${k}`);
  const noise = background && {
    ...{ logDensity: logBackground(background), offset: readSavedOffset(files) },
  };
  const measured = details ? measuresOf(files, { components, k, dim }, byMixture) : null;
  const mapNet = map ? readSavedMap(files, dim) : null;
  const { imageSize, outliers, drop, ...table } = config;
  const { fill = null, categories = null, aside = [] } = data.table ?? {};
  return {
    version: versionOf(about, files),
    ...{ classifier, byMixture, groups, k, noise, measured, mapNet },
    encoder: encoder && { input: columnMap(encoder), layers: encoding },
    files,
    names,
    moments,
    dtype: data.dtype,
    images: data.shape && { shape: data.shape, isScaled: imageSize !== null },
    leftOut: data.leftOut,
    logged: data.logged,
    outliers,
    ids,
    isGaussian: likelihood?.name !== 'graph',
    table: { ...table, drop: [...(drop ?? []), ...aside], label: data.leftOut, fill, categories },
    backendName: backendOfIdentity(String(identity)),
    transform: {
      normalize,
      input,
      dim,
      columns: columns && Int32Array.from(columns),
      weights: columns
        ? Float32Array.from(columns, (column, d) => kernel.values[column * dim + d])
        : kernel.values,
      bias: bias.values,
      scale: Float64Array.from(scale),
      offset: Float64Array.from(offset),
      ...steps,
    },
  };
}

/** Takes the last component of a mixture, which is the background, off its weights, bias and constant. */
function withoutLast(classifier: Part[], d: number): void {
  const [weights, bias, constant] = classifier;
  const width = bias.values.length;
  const values = firstColumns(weights.values, width, width - d);
  const part = (own: Float32Array, ...shape: number[]) => ({ values: own, shape });
  const k = constant.values.length - 1;
  classifier.splice(
    ...([0, 3] as const),
    part(values, d, k * d),
    part(bias.values.slice(0, k * d), k * d),
    part(constant.values.slice(0, k), k),
  );
}

/** `densities`: null for a graph, or if an earlier version trained it. */
function measuresOf(
  files: RunFiles,
  { components, k, dim }: { components: number; k: number; dim: number },
  byMixture: boolean,
) {
  const saved = readSavedCentres(files, components, k, dim);
  return saved && { ...saved, densities: readSavedDensities(files, saved.centres, byMixture) };
}

const columnMap = ({ factor, shift }: { factor: number[]; shift: number[] }): ColumnMap => ({
  factor: Float32Array.from(factor),
  shift: Float32Array.from(shift),
});

/** Of what was read of it, and what run.json says of its labels and of how rows are read. */
function versionOf(about: z.infer<typeof aboutSchema>, files: RunFiles): string {
  const { identity, data, config, likelihood, ids } = about;
  const content = [Object.entries(files.hashesRead()).sort(), identity, data, config, likelihood, ids];
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, VERSION_DIGITS);
}

/** They tell models apart, and are short enough for an address. */
const VERSION_DIGITS = 32;

function aboutRun(run: string): z.infer<typeof aboutSchema> {
  const path = join(run, 'run.json');
  if (!existsSync(path))
    throw new UserError(
      `--run ${run} is not the directory of a finished run (${path} does not exist): give the --out of a run`,
    );
  try {
    const content = readRunJson(run);
    assertReadable(path, content);
    const about = aboutSchema.parse(content);
    const problem = problemOfLists(about);
    if (problem) throw new UserError(`${path} is damaged (${problem}): restore it from a copy of the run`);
    return about;
  } catch (error) {
    const why = error instanceof UserError ? error.message : `${path} is damaged`;
    throw new UserError(`--run ${run} is not the directory of a finished run: ${why}`);
  }
}

/** Layers without products, or with numbers that do not matter: what these do is in transform.json, or follows from shapes. */
const OTHERS =
  /^((encoder_input|columns|negatives|unit_numbers|half_sums|atoms_[123]|members)\/|clusters\/(gamma|moving_mean|moving_variance)$)/;

/**
 * Kernel and bias of each layer: those of an encoder with these `widths` (of one width: there is none), the transform, the net; or in place of the
 * net weights, bias and constant of the mixture. They have to fit each other, and to fill the file, with those of other layers.
 */
function readWeights(
  files: RunFiles,
  widths: number[],
  dim: number,
  before: boolean,
  flags: number,
): { layers: Part[]; byMixture: boolean } {
  const [{ weights }] = checked(files, 'model/model.json', savedModel).weightsManifest;
  const bytesOf = (shape: number[]) => 4 * elementCount(shape);
  let at = 0;
  const all = weights.map(({ name, shape }) => {
    const start = at;
    at += bytesOf(shape);
    return { name, shape, start };
  });
  const own = all.filter(({ name }) => !OTHERS.test(name));
  const encoding = 2 * (widths.length - 1);
  const byMixture = own[encoding + 2]?.name === 'whitened/kernel';
  const others =
    4 * Number(widths.length > 1) +
    6 * Number(before) +
    4 * Number(byMixture) +
    6 * Number(flags > 0) +
    Number(files.has(COMPONENTS));
  const densities = byMixture ? own.slice(encoding + 2) : [];
  const [whitening, bias, constant] = densities.map(({ shape }) => shape);
  // Without an encoder, as there are no further columns with one.
  let width = widths[0] + flags;
  const fits = own.slice(0, own.length - densities.length).every(({ shape }, i) => {
    if (i % 2) return shape.length === 1 && shape[0] === width;
    const isKernel = shape.length === 2 && shape[0] === width;
    width = shape[1];
    return isKernel && (i >= encoding || width === widths[i / 2 + 1]);
  });
  const areDensities = () =>
    densities.length === 3 &&
    constant.length === 1 &&
    `${bias}` === `${dim * constant[0]}` &&
    `${whitening}` === `${[dim, bias[0]]}`;
  const sound =
    fits &&
    all.length === own.length + others &&
    own.findIndex(({ name }) => name === 'transform/kernel') === encoding &&
    (byMixture ? areDensities() : own.length >= encoding + 4 && own.length % 2 === 0) &&
    own[encoding].shape[1] === dim;
  if (!sound) throw files.damaged('model/model.json', 'its layers do not fit each other');
  const bytes = files.bytes('model/weights.bin', at);
  const layers = own.map(({ shape, start }) => {
    const from = bytes.byteOffset + start;
    const values = new Float32Array(bytes.buffer.slice(from, from + bytesOf(shape)));
    if (!values.every(Number.isFinite))
      throw files.damaged('model/weights.bin', 'it has values that are not finite');
    return { values, shape };
  });
  return { layers, byMixture };
}

/** Whether columns without names are in another order than those that a model was trained on. */

/** Mean and deviation of each column. */
export interface ColumnMoments {
  mean: readonly number[];
  /** The standard deviation. */
  deviation: readonly number[];
}

/** Rows from which it can be told what a column is like. */
const FEWEST_ROWS = 20;
/** How far a column is from those that it does not look like, and from the one that it looks like: see `distance`. */
const FAR = 1;
const NEAR = 0.35;

/** Counts rows; `moved` then tells which of their columns look like other ones of `trained`. */
export function columnWatch(trained: ColumnMoments) {
  const { mean, deviation } = trained;
  const columns = mean.length;
  const unit = deviation.map((value) => value || 1);
  const sums = new Float64Array(columns);
  const squares = new Float64Array(columns);
  let rows = 0;
  return {
    add(values: Float32Array): void {
      for (let at = 0, c = 0; at < values.length; at++, c = c + 1 < columns ? c + 1 : 0) {
        const value = (values[at] - mean[c]) / unit[c];
        sums[c] += value;
        squares[c] += value * value;
      }
      rows += values.length / columns;
    },
    moved(): Map<number, number> | null {
      if (rows < FEWEST_ROWS) return null;
      const means = Array.from(sums, (sum, c) => mean[c] + (unit[c] * sum) / rows);
      const deviations = Array.from(
        squares,
        (square, c) => unit[c] * Math.sqrt(Math.max(0, square / rows - (sums[c] / rows) ** 2)),
      );
      return movedColumns(trained, { mean: means, deviation: deviations });
    },
  };
}

/**
 * Columns that are not like the ones in their places, if these are the same ones in another order: of each the place where it
 * belongs. Null if all are in their places, or some are like no other.
 */
export function movedColumns(trained: ColumnMoments, rows: ColumnMoments): Map<number, number> | null {
  const places = trained.mean.map((_, place) => place);
  const far = places.filter((i) => trained.deviation[i] > 0 && distance(rows, i, trained, i) > FAR);
  const moved = new Map<number, number>();
  for (const i of far) {
    const place = far.reduce((best, j) =>
      distance(rows, i, trained, j) < distance(rows, i, trained, best) ? j : best,
    );
    if (distance(rows, i, trained, place) < NEAR) moved.set(i, place);
  }
  return far.length && new Set(moved.values()).size === far.length ? moved : null;
}

/** Of the means, in standard deviations of the second, and of these, as a logarithm; infinite for one that does not vary. */
const distance = (a: ColumnMoments, i: number, b: ColumnMoments, j: number): number =>
  Math.abs(a.mean[i] - b.mean[j]) / b.deviation[j] + Math.abs(Math.log(a.deviation[i] / b.deviation[j]));
