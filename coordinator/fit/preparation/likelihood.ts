import type { ColumnMap } from '../../../data/steps/linear.ts';
import type { Moments, Transform } from '../../../data/transform.ts';
import { pcaShare } from '../../../data/transform-choice.ts';
import {
  covarianceOfSums,
  featureColumns,
  MOST_FEATURE_AXES,
  planFeatures,
  planSignal,
  planTransform,
  type SampleCovariance,
} from '../../../data/transform-plan.ts';
import { formatNumber } from '../../../data/value-range.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { columnSketch, type Sketch, unsketched } from '../../../model/principal-axes.ts';
import { covarianceOf } from '../../../model/statistics.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import { nd } from '../../../proto/tensors.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import type { Likelihood } from '../../../run/events.ts';
import { createRounds } from '../../../tasks/cells/ask.ts';
import type { Task } from '../../../tasks/table.ts';
import { shardSizes, sumOf } from '../../rounds/sums.ts';
import { publishTransform } from '../publish.ts';
import {
  FEW_COLUMNS,
  isGraph,
  isOfCodes,
  isUndecided,
  MOST_EXACT,
  transformChoice,
} from '../reading/moments.ts';
import type { TrainingRun } from '../run-context.ts';
import { sampleThreshold } from './limits.ts';

/**
 * Which likelihood a run has where nobody chose one: mixtures of Gaussians where rows have few dimensions, and the graph of nearest
 * neighbours where they have many (docs/algorithm.md, section 11).
 */

/** Where columns are many, a Gaussian mixture has so many signal axes at most: ten Gaussians in 64 dimensions have 9, digits 27, Reuters' articles 124. */
const MOST_SIGNAL_AXES = 16;
/** Columns whose range is so many times that of the middle column, or the other way round, are in other units. */
const OTHER_UNITS = 10;
/** Numbers that are multiplied for a covariance of sampled rows: of many columns not all rows are used, but one a column. */
const MOST_PRODUCTS = 2 ** 34;
const SKETCH_WIDTH = 1024;
/** Why, where it was not to be decided. */
const ASKED_FOR = 'asked for';
const OF_LATENT = 'clusters of latent vectors have all shapes';

/** What is needed to decide. */
export interface ChoiceInput extends Pick<TrainingRun, 'config' | 'layout' | 'dispatcher'> {
  /** Columns are the pixels of images. */
  arePixels?: boolean;
  /** It is decided: a mixture of Gaussians in all columns. */
  isMixture?: boolean;
}

/** What was decided. */
export interface Choice {
  likelihood: Likelihood;
  /** Null: Gaussian, as it was not to be decided. */
  why: string | null;
  transform: Transform;
  /** Covariance of the transformed rows: [D,D], or its diagonal. */
  covariance: Float64Array;
}

/**
 * Likelihood and transform of a run: those of its config or, for many columns, by the covariance of the sample's rows. Then it is
 * a Gaussian mixture on their principal axes, if there are few beside noise; else the graph by features of all.
 */
export async function chooseLikelihood(input: ChoiceInput, data: DataMoments): Promise<Choice> {
  const { config, layout } = input;
  const { moments, fences } = data;
  const hasGraph = isGraph(config, layout.dim);
  const why = isOfCodes(config, layout.dim) ? OF_LATENT : ASKED_FOR;
  const asConfigured = () => planTransform(transformChoice(config, layout.dim), moments, fences);
  if (input.isMixture) {
    const { transform } = await asConfigured();
    return {
      ...{ likelihood: 'gaussian', why: null },
      ...{ transform, covariance: await covarianceAfter(input, transform) },
    };
  }
  if (!isUndecided(config, layout.dim)) {
    const planned = await asConfigured();
    const share = pcaShare(config.transform);
    const axes =
      share === null ? null : `on the ${planned.transform.dim} axes that hold ${share} of the variance`;
    return hasGraph
      ? { likelihood: 'graph', why: axes ? `${why}, ${axes}` : why, ...planned }
      : { likelihood: 'gaussian', why: axes, ...planned };
  }

  const { columns, map, kept, scaled } = columnsOf(moments, input.arePixels);
  if (kept.length <= FEW_COLUMNS) {
    if (hasGraph) return { likelihood: 'graph', why, ...(await asConfigured()) };
    const { transform } = await asConfigured();
    return {
      likelihood: 'gaussian',
      why: `only ${kept.length} of the ${layout.dim} columns ${kept.length === 1 ? 'varies' : 'vary'}`,
      transform,
      covariance: await covarianceAfter(input, transform),
    };
  }
  const units = scaled
    ? `columns are in unlike units (ranges from ${scaled}), so each is divided by its standard deviation; `
    : '';
  const sketch = sketchOf(config, layout.dim);
  if (!hasGraph) {
    const own = await sampleCovariance(input, data, map, sketch, false);
    const { signal, isAll, planned } = planSignal(
      own,
      sketch ? momentsOf(sketch, moments.rows) : moments,
      Math.min(kept.length, own.mean.length),
      MOST_SIGNAL_AXES,
      fences,
    );
    if (planned)
      return {
        likelihood: 'gaussian',
        why: `${units}only ${signal} ${signal === 1 ? 'direction' : 'directions'} of the ${layout.dim} columns ${signal === 1 ? 'stands' : 'stand'} out from noise${isAll ? '; all columns are used' : ''}`,
        transform: afterColumns(ofColumns(planned.transform, sketch), map),
        covariance: planned.covariance,
      };
  }
  const { mean, covariance } = await sampleCovariance(input, data, map, sketch, true);
  const { transform, eigenvalues } = planFeatures({
    ...(sketch ? unmapped(sketch) : { ...columns, kept }),
    ...{ mean, covariance, axes: MOST_FEATURE_AXES, fences },
  });
  const reason = hasGraph
    ? why
    : `no small number of directions of the ${layout.dim} columns stands out from the others`;
  return {
    ...{ likelihood: 'graph', why: units + reason, covariance: eigenvalues },
    transform: { ...ofColumns(transform, sketch), before: map },
  };
}

const sketchOf = ({ seed }: Pick<RunConfig, 'seed'>, columns: number): Sketch | null =>
  columns > MOST_EXACT ? columnSketch(seed, columns, SKETCH_WIDTH) : null;

/** Moments in which all columns of a sketch vary alike. */
function momentsOf({ width }: Sketch, rows: number): Moments {
  const ones = new Float64Array(width).fill(1);
  return { rows, mean: new Float64Array(width), covariance: ones, min: new Float64Array(width), max: ones };
}

/** The columns of a sketch, as they are. */
const unmapped = ({ width }: Sketch) => ({
  centre: new Float64Array(width),
  factor: new Float64Array(width).fill(1),
  kept: [...Array(width).keys()],
});

/** A transform of sketched rows as one of the rows themselves. */
function ofColumns(transform: Transform, sketch: Sketch | null): Transform {
  if (!sketch) return transform;
  const weights = unsketched(sketch, transform.weights, transform.dim);
  return { ...transform, input: weights.length / transform.dim, weights };
}

/**
 * The column map to the mean, and to common units if columns have unlike ones; the columns that vary. `scaled`: the ranges, in words.
 * `arePixels`: they have the same units, though those of an image's border hardly vary.
 */
export function columnsOf({ mean, min, max, covariance }: Moments, arePixels = false) {
  const dim = mean.length;
  const ranges = max.map((most, j) => most - min[j]);
  const kept = [...ranges.keys()].filter((j) => ranges[j] > 0);
  const sorted = kept.map((j) => ranges[j]).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))];
  const [low, middle, high] = [at(0.1), at(0.5), at(1)];
  const isScaled = !arePixels && (high > OTHER_UNITS * middle || middle > OTHER_UNITS * low);
  const variance = diagonalOf(covariance, dim);
  const factor = Float64Array.from({ length: dim }, (_, j) =>
    isScaled && ranges[j] > 0 ? 1 / Math.sqrt(variance[j]) : 1,
  );
  return {
    kept,
    columns: { centre: mean, factor },
    map: featureColumns(mean, factor, kept),
    scaled: isScaled ? `${formatNumber(sorted[0])} to ${formatNumber(high)}` : null,
  };
}

/** The covariance of the sample's rows after a transform to few columns. */
async function covarianceAfter(
  { config, layout, dispatcher }: ChoiceInput,
  transform: Transform,
): Promise<Float64Array> {
  const { dim } = transform;
  publishTransform({ dispatcher, transform }, sampleThreshold(config, layout));
  const rounds = createRounds(dispatcher, shardSizes(layout), dim, 'full');
  const all = { groups: 'all' as const, cells: [0], leaves: 1 };
  const [[T]] = await rounds.cellStatistics([all], [], [[new Float64Array(dim)]]);
  return covarianceOf(T, dim, 'full', T[0]);
}

/**
 * Mean and covariance of the sample's rows after a column map, scaled to unit length if `unit`, and after a sketch if there is one.
 * Of many columns, every m-th row of each shard counts.
 */
async function sampleCovariance(
  { config, layout, dispatcher }: ChoiceInput,
  { fences, sampleRows }: Pick<DataMoments, 'fences' | 'sampleRows'>,
  { shift, factor }: ColumnMap,
  sketch: Sketch | null,
  unit: boolean,
): Promise<SampleCovariance> {
  const d = sketch?.width ?? layout.dim;
  dispatcher.publish('columns', {
    shift: nd(shift),
    factor: nd(factor),
    below: nd(Float64Array.of(sampleThreshold(config, layout))),
    ...(fences && { fenced: nd(fences.columns), low: nd(fences.low), high: nd(fences.high) }),
  });
  const wanted = Math.max(d, MOST_PRODUCTS / d ** 2);
  const every = Math.max(1, Math.floor(sampleRows.reduce((a, b) => a + b, 0) / wanted));
  const used = sampleRows.map((rows) => Math.ceil(rows / every));
  const results = await dispatcher.round({
    tasks: [{ task: 'sample-covariance', unit, every, sketch: sketch?.width ?? 0 } satisfies Task],
    units: used.map((_, shard): WorkUnit => ({ shard, from: 0, to: 0 })),
    sum: true,
  });
  const sum = (name: string) => sumOf(results, 0, name);
  const [[n], s, S] = [sum('n'), sum('s'), sum('S')];
  return covarianceOfSums(n, s, S);
}

/** A transform of mapped columns as one of raw rows. */
function afterColumns(transform: Transform, { shift, factor }: ColumnMap): Transform {
  const { input, dim, weights, bias } = transform;
  const own = { weights: weights.slice(), bias: Float64Array.from(bias) };
  for (let j = 0; j < input; j++)
    for (let a = 0; a < dim; a++) {
      own.bias[a] += shift[j] * weights[j * dim + a];
      own.weights[j * dim + a] *= factor[j];
    }
  return { ...transform, weights: own.weights, bias: Float32Array.from(own.bias) };
}
