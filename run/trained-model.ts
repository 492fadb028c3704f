import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { backendOfIdentity } from '../base/identity.ts';
import { list, record } from '../base/schema.ts';
import { UserError } from '../base/user-error.ts';
import type { ColumnMap } from '../data/steps/linear.ts';
import { categoriesSchema, type DecodeOptions, type TableOptions } from '../data/tables/table-options.ts';
import { type Transform, transformOf } from '../data/transform.ts';
import { MAX_FLOAT32 } from '../data/value-range.ts';
import { MAX_MAGNITUDE } from '../model/arrays.ts';
import type { RowDensities } from '../model/description/densities.ts';
import { type Centres, centresFrom } from '../model/description/distances.ts';
import { clusterCount, type Groups } from '../model/gaussian/components.ts';
import { type Background, logBackground } from '../model/gaussian/noise.ts';
import type { MapNet } from '../model/graph/map-net.ts';
import { netShapes, unflatten } from '../model/nets/net.ts';
import type { ModelSteps } from '../model/steps.ts';
import { assertReadable, openFinished, problemOfLists } from './finished-run.ts';
import { LAYERS, MODEL, readModel } from './model-file.ts';
import { type RunFiles, readRunJson } from './run-files.ts';

/** The model of a finished run as read from its file. Labels are computed elsewhere, and how it was trained it does not know. */

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
  /** The background by itself. */
  background: Background | null;
  /** The compute backend it was trained on. */
  backendName: string;
  /** The column of the CSV that was used for --labels and is not data. */
  leftOut: string | null;
  /** The element type of the rows that it was trained on; null where run.json does not say. */
  dtype: string | null;
  /** The images that it was trained on: their shape as rows, and whether they were scaled to it; null where they were none. */
  images: { shape: readonly number[]; isScaled: boolean } | null;
  /** The names of the columns that it was trained on; null where they had none. */
  names: readonly string[] | null;
  /** The means and standard deviations of these columns; null with an encoder. */
  moments: ColumnMoments | null;
  /** How the table that it was trained on was read. */
  table: TableOptions & Pick<DecodeOptions, 'fill' | 'categories'>;
  /** The columns that it knows by their logarithms, from 0. */
  logged: readonly number[];
  /** The labels of its clusters, by their numbers; null: these. */
  ids: readonly number[] | null;
  /** Are its clusters Gaussians, not communities of a graph? */
  isGaussian: boolean;
  /** What distances are measured and log densities computed by; null without `details`. */
  measured: Measures | null;
  /** What places rows on the map; null without `map`. */
  mapNet: MapNet | null;
  /** The other result files of the run. */
  files: RunFiles;
}

/** What distances of rows are measured by, their quantiles by cluster, and what log densities are computed by; null for a graph. */
export interface Measures {
  centres: Centres;
  quantiles: Float32Array;
  densities: RowDensities | null;
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
const column = z.int().check(z.nonnegative());
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
      shape: orNull(list(column)),
      table: orNull(savedTable),
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
  const { model, names } = readModel(files);
  // A run of which some is damaged is not the one that was written.
  for (const name of Object.values(LAYERS)) files.assertIntact(name);
  const problem = problemOf(model, names);
  if (problem) throw files.damaged(MODEL, problem);
  const { moments, log, encode, net, mixture, groups: grouped, distances } = model;
  const { dim } = transformOf(model);
  const classifier = net
    ? layersOf(net)
    : [
        part(mixture!.weights, dim, mixture!.bias.length),
        part(mixture!.bias, mixture!.bias.length),
        part(mixture!.constant, mixture!.constant.length),
      ];
  const components = classifier.at(-1)!.values.length;
  const groups = grouped?.cluster ?? null;
  const k = clusterCount(components, groups);
  if (result!.k > k) throw files.damaged('run.json', `it is of ${result!.k} clusters, its model of ${k}`);
  const background = model.background
    ? { weight: model.background.weight[0], logDensity: model.background.logDensity[0] }
    : null;
  const offset = model.densityOffset?.offset[0];
  const centres = centresFrom(components, dim, distances!.centres);
  const densities = model.densities && {
    constants: model.densities.constants,
    centres: { ...centres, values: model.densities.rows },
  };
  const { imageSize, drop, ...table } = config;
  const { fill = null, categories = null, aside = [] } = data.table ?? {};
  return {
    version: versionOf(about, files),
    ...{ classifier, byMixture: net === undefined, groups, k, background },
    noise: background && { logDensity: logBackground(background), offset: offset! },
    measured: details
      ? {
          ...{ centres, quantiles: distances!.quantiles },
          densities: densities ?? (offset === undefined ? null : { offset }),
        }
      : null,
    mapNet: map && model.map ? { dim, ...model.map } : null,
    encoder: encode
      ? { input: { factor: encode.factor, shift: encode.shift }, layers: layersOf(encode) }
      : null,
    files,
    names,
    moments: moments ? { mean: [...moments.mean], deviation: [...moments.deviation] } : null,
    dtype: data.dtype,
    images: data.shape && { shape: data.shape, isScaled: imageSize !== null },
    leftOut: data.leftOut,
    logged: [...(log?.columns ?? [])],
    ids,
    isGaussian: likelihood?.name !== 'graph',
    table: { ...table, drop: [...(drop ?? []), ...aside], label: data.leftOut, fill, categories },
    backendName: backendOfIdentity(String(identity)),
    transform: transformOf(model),
  };
}

const part = (values: Float32Array, ...shape: number[]): Part => ({ values, shape });

/** Kernel and bias of each layer in turn. */
function layersOf({ widths, params }: { widths: Int32Array; params: Float32Array }): Part[] {
  const shapes = netShapes([...widths], 0);
  return unflatten(params, shapes).map((values, i) => part(values, ...shapes[i]));
}

/** Which steps of a model are missing, or exclude each other; null: it is complete. */
function problemOf(model: ModelSteps, names: readonly string[] | null): string | null {
  const { encode, moments, scale, project, unit, before, atoms, net, mixture, background } = model;
  const one = (a: unknown, b: unknown) => (a === undefined) !== (b === undefined);
  const isComplete =
    one(scale, project) && one(net, mixture) && one(encode, moments) && model.coordinates && model.distances;
  if (!isComplete) return 'one of its steps is missing';
  if (before && !unit) return 'its rows are moved, but not scaled to unit length';
  if (atoms && (encode || !scale)) return 'it has further columns that no step reads';
  if (background && (!mixture || !model.densityOffset)) return 'it has a background, but no densities';
  const { length } = encode ? encode.factor : moments!.mean;
  return names && names.length !== length ? 'its names are not those of its columns' : null;
}

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
