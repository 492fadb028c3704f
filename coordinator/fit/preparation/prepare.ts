import { UserError } from '../../../base/user-error.ts';
import type { OutlierBounds } from '../../../data/steps/fences.ts';
import type { Moments, Transform } from '../../../data/transform.ts';
import { columnCalled, formatNumber } from '../../../data/value-range.ts';
import type { Dependent } from '../../../model/dependent-columns.ts';
import { type ColumnKinds, independent } from '../../../model/gaussian/columns.ts';
import { LEAST_KAPPA, learnedScale, type Niw, niwPrior, priorScale } from '../../../model/gaussian/niw.ts';
import type { Layout } from '../../../model/layout.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { fastSchedule, paperSchedule } from '../../../model/schedule.ts';
import type { RunConfig } from '../../../run/config.ts';
import type { DataMoments } from '../../../run/data-moments.ts';
import type { Emit } from '../../../run/events.ts';
import { createRounds } from '../../../tasks/cells/ask.ts';
import type { RoundDispatcher } from '../../rounds/dispatcher.ts';
import { shardSizes } from '../../rounds/sums.ts';
import { gaussian } from '../gaussian/gaussian.ts';
import { graph } from '../graph/graph.ts';
import { publishHashes, publishTransform } from '../publish.ts';
import { FEW_COLUMNS } from '../reading/moments.ts';
import { checkColumns, withConstants } from '../reading/precision.ts';
import type { LikelihoodKind, TrainingRun } from '../run-context.ts';
import { sampleOf } from '../sample.ts';
import {
  aboutDependent,
  assertEnoughRows,
  dependentOf,
  withoutColumns,
  withoutVariation,
} from './dependent.ts';
import { type Atom, fillOf, isSpike, kindsOf, withAtoms } from './kinds.ts';
import { type Choice, chooseLikelihood } from './likelihood.ts';
import { sampleThreshold } from './limits.ts';

export interface PrepareInput {
  config: RunConfig;
  layout: Layout;
  /** Names of the columns of the data; null where they have none. */
  names: readonly string[] | null;
  /** The columns of each column of categories. */
  categories?: ReadonlyMap<string, readonly number[]>;
  /** The step of the grid that each column's values are on, 0 for none; null: none is. */
  grid?: Float32Array | null;
  /** Values that a share of a column's rows has exactly, and the share of the others. */
  atoms?: readonly Atom[];
  /** Rows drawn from all, which tell of these. */
  drawn?: Float32Array;
  /** Columns are the pixels of images. */
  arePixels?: boolean;
  /** It is decided: a mixture of Gaussians in all columns. */
  isMixture?: boolean;
  /** Warnings have been given before. */
  isQuiet?: boolean;
}

/** What an update takes from the run before: it does not change as new rows come. */
export interface Unchanged
  extends Pick<TrainingRun, 'config' | 'layout' | 'transform' | 'covariance' | 'prior' | 'seen'> {
  likelihood: TrainingRun['likelihood']['name'];
}

/** What it is prepared by. */
export interface Preparing extends RoundDispatcher {
  emit: Emit;
  warn: (message: string) => void;
}

/**
 * Derives likelihood, transform, prior and coarsening from moments and sample, and publishes the states that every round reads.
 * UserError if data, sample and config do not go together.
 */
export async function prepare(
  input: PrepareInput,
  dispatcher: Preparing,
  read: DataMoments,
): Promise<TrainingRun> {
  const { sampleRows, hashes, fences } = read;
  const { layout } = input;
  const warn = input.isQuiet ? () => {} : dispatcher.warn;
  checkColumns(input.config, read.moments, input.names, warn);
  const moments = withConstants(read.moments);
  const data = { ...read, moments };
  const n = sampleRows.reduce((a, b) => a + b, 0);
  if (n === 0)
    throw new UserError(
      `--sample ${input.config.sample}: none of the ${layout.rows} rows was drawn; use a larger sample`,
    );
  publishHashes({ dispatcher }, hashes);
  const decided = await chooseLikelihood({ ...input, dispatcher }, data);
  const { likelihood: name } = decided;
  const isMixture = name === 'gaussian' && input.config.schedule !== 'paper';
  const { categories = new Map(), grid = null, drawn, names } = input;
  const rows = fences ? n : moments.rows;
  const inKinds = (decided: Choice, moments: Moments) => {
    const atoms = (input.atoms ?? []).filter(({ column }) => moments.max[column] > moments.min[column]);
    const chosen = isMixture
      ? withAtoms(decided, { moments, fences }, atoms.filter(isSpike), rows, input.config.transform)
      : { ...decided, moments };
    const found = isMixture ? kindsOf({ ...chosen, categories, grid, names, rows }) : null;
    return { chosen, found, atoms };
  };
  let kinded = inKinds(decided, moments);
  const dependent: Dependent[] = [];
  const mayDepend = name === 'gaussian' && input.config.covariance === 'full';
  // Without some, others may be of another kind: what is left of a category beside its code is all there is.
  for (let more = mayDepend ? dependentOf(kinded) : []; more.length; more = dependentOf(kinded)) {
    dependent.push(...more);
    kinded = inKinds(withoutColumns(decided, dependent), withoutVariation(moments, dependent));
  }
  if (dependent.length) {
    const { dim } = kinded.chosen.transform;
    assertEnoughRows(input.config.data, n, dim, dim + dependent.length);
    warn(`${input.config.data}: ${aboutDependent(dependent, names)}`);
  }
  const { chosen, found, atoms } = kinded;
  const d = chosen.transform.dim;
  const kind = { gaussian, graph }[name];
  const config = kind.configure(input.config, n, d, warn);
  const filled =
    isMixture && drawn
      ? fillOf(
          atoms.filter((atom) => !isSpike(atom)),
          drawn,
          layout.dim,
          fences,
          names,
        )
      : null;
  const transform = {
    ...chosen.transform,
    ...(found?.grid && { grid: { size: found.grid } }),
    ...(filled?.fill && { fill: filled.fill }),
  };
  const kinds = found?.kinds ?? undefined;
  if (categories.size && !kinds)
    warn(
      `--categorical: each category of ${[...categories.keys()].join(', ')} is a column of 0 and 1 like any other, as probabilities need at most ${FEW_COLUMNS} columns with those of categories, Gaussian clusters and a transform that keeps columns apart`,
    );
  const covariance = kinds ? independent(kinds, chosen.covariance, d) : chosen.covariance;
  const isCoarse = !!found?.grid && hasCoarseGrid(chosen.transform, found.grid, covariance);
  const prior = { ...priorOf(config, d, covariance, kinds), ...(isCoarse && { leastKappa: true }) };
  const why = [decided.why, found?.why].filter((reason) => reason != null).join('; ') || null;
  if (fences) warn(`${config.data}: ${aboutBounds(fences, input.names)}`);
  const below = sampleThreshold(config, layout);
  publishTransform({ dispatcher, transform }, below);
  const unknown = filled?.why ?? null;
  const sample = sampleOf(below, sampleRows);
  return runOf(kind, dispatcher, { config, layout, sample, transform, covariance, prior, why, unknown });
}

/** The same for an update: nothing is decided anew, and all rows of its sample are trained on. */
export function prepareUpdate(
  { likelihood, ...same }: Unchanged,
  dispatcher: Preparing,
  { sampleRows, hashes }: DataMoments,
): TrainingRun {
  const sample = sampleOf(1, sampleRows);
  publishHashes({ dispatcher }, hashes);
  publishTransform({ dispatcher, transform: same.transform }, 1);
  const kind = { gaussian, graph }[likelihood];
  const config = kind.configure(same.config, sample.rows, same.transform.dim, () => {});
  const why = likelihood === 'graph' ? 'as in the run before' : null;
  return runOf(kind, dispatcher, { ...same, config, sample, why, unknown: null });
}

type Fixed = Pick<
  TrainingRun,
  'config' | 'layout' | 'sample' | 'seen' | 'transform' | 'covariance' | 'prior' | 'why' | 'unknown'
>;

/** The run with what follows from what is fixed. */
function runOf(kind: LikelihoodKind, dispatcher: Preparing, fixed: Fixed): TrainingRun {
  const { config, layout, transform } = fixed;
  const d = transform.dim;
  const byMixture = kind.byMixture(config, d);
  const run = {
    ...fixed,
    ...{ byMixture, d, dispatcher, seed: config.seed, emit: dispatcher.emit },
    schedule: (config.schedule === 'paper' ? paperSchedule : fastSchedule)(config.splitMergeEvery, byMixture),
    rounds: createRounds(dispatcher, shardSizes(layout), d, config.covariance, byMixture),
  };
  return { ...run, likelihood: kind.create(run) };
}

/** Standard deviations of a column: of ratings, counts and rounded numbers a step is .25 to .8 of one, of measurements in whole units .07 to .13. */
const COARSE_STEP = 0.2;

/**
 * Has a column so few values that its clusters have a few each? Spread over the steps they are no Gaussians, and gain by further splits: they cost as
 * much as can be.
 */
function hasCoarseGrid({ columns, dim }: Transform, grid: Float32Array, covariance: Float64Array): boolean {
  const variance = diagonalOf(covariance, dim);
  return variance.some((value, i) => grid[columns ? columns[i] : i] > COARSE_STEP * Math.sqrt(value));
}

/** So many columns with outliers are named. */
const MOST_NAMED = 3;

function aboutBounds({ columns, low, high }: OutlierBounds, names: readonly string[] | null): string {
  const limits = Array.from(
    columns.subarray(0, MOST_NAMED),
    (column, c) =>
      `${columnCalled(names, column)} below ${formatNumber(low[c])} or above ${formatNumber(high[c])}`,
  );
  const more =
    columns.length > MOST_NAMED ? `, or far off in ${columns.length - MOST_NAMED} more columns` : '';
  return `rows with ${limits.join(', ')}${more} are so far from all others that they would hide the clusters: they are labelled, but not trained on; outliers.npy says which they are`;
}

type PriorConfig = Pick<RunConfig, 'covariance' | 'priorScaleChoice' | 'priorScale'>;

/** The prior with which a run begins, given the covariance of its D columns: a learned one as though all rows were one cluster. */
export function priorOf(config: PriorConfig, d: number, covariance: Float64Array, kinds?: ColumnKinds): Niw {
  const { priorScaleChoice: choice, priorScale: c } = config;
  const nu = choice === 'learned' ? d + 1 + Math.max(1, kinds?.continuous.length ?? d) : d + 2;
  const dataCovariance = config.covariance === 'diag' ? diagonalOf(covariance, d) : covariance;
  return niwPrior({
    mean: new Float64Array(d),
    kappa: LEAST_KAPPA,
    nu,
    psi:
      choice === 'learned'
        ? learnedScale(c, nu, d, [1], [dataCovariance], dataCovariance)
        : priorScale(choice, c, dataCovariance, config.covariance),
    covariance: config.covariance,
    estimate: choice === 'learned' ? 'mean' : 'mode',
    ...(kinds && { kinds }),
  });
}
