import { concatInSlices } from '../../base/slices.ts';
import { stepsOf } from '../../data/transform.ts';
import { concat } from '../../model/arrays.ts';
import type { RowDensities } from '../../model/description/densities.ts';
import type { Centres } from '../../model/description/distances.ts';
import type { MapNet } from '../../model/graph/map-net.ts';
import type { Layout } from '../../model/layout.ts';
import { diagonalOf } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import { codeLayer, encoderLayers } from '../../model/nets/autoencoder.ts';
import type { Layer } from '../../model/nets/net.ts';
import { type Classifier, classifierOf, type State } from '../../model/state.ts';
import type { ModelSteps } from '../../model/steps.ts';
import type { RunTotals } from '../../run/checkpoint.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import type { Encoder } from '../../run/encoding.ts';
import { encodeModel, MODEL } from '../../run/model-file.ts';
import { BACKGROUND, COMPONENTS } from '../../run/row-files.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import type { Alternation, Stability, Summary } from '../../run/summary.ts';
import { REPLICATES } from './graph/resolution.ts';
import type { Prepared } from './run-context.ts';

/** The summary of a run, from its full pass and its totals. */
export function summarize(
  { counts, noise, outliers }: FullPassResult,
  about: {
    state: State;
    layout: Layout;
    /** Columns of the rows. */
    dim: number;
    spent: RunTotals;
    /** Null where true labels are not known. */
    scores: Pick<Summary, 'nmi' | 'ari' | 'acc'> | null;
    silhouette: number | null;
    out: string;
    notes(k: number): string[];
    alternations?: Alternation[];
    evidence: Summary['evidence'];
  },
): Summary {
  const { state, layout, spent, scores, silhouette, out, notes } = about;
  const k = counts.filter((rows) => rows > 0).length;
  return {
    k,
    nmi: scores?.nmi ?? null,
    ari: scores?.ari ?? null,
    acc: scores?.acc ?? null,
    silhouette,
    loss: state.loss,
    epochs: state.epoch,
    rounds: spent.rounds,
    workers: spent.workers,
    rows: layout.rows,
    outliers,
    noise,
    dim: about.dim,
    seconds: spent.seconds,
    out,
    notes: notes(k),
    replicates: null,
    ...(about.alternations && { alternations: about.alternations }),
    stability: stabilityOf(state),
    evidence: about.evidence,
  };
}

function stabilityOf({ graph }: State): Stability | null {
  if (!graph?.range || graph.stability === null) return null;
  return { count: REPLICATES, k: [...graph.range], agreement: graph.stability };
}

/** What columns are like, roughly. */
const savedMoments = (mean: Float64Array, variance: Float64Array) => ({
  mean: mean.map(roughly),
  deviation: variance.map((value) => roughly(Math.sqrt(Math.max(0, value)))),
});
const roughly = (value: number) => Number(value.toPrecision(6));

/** What a model's file has beside what labels rows. */
export interface DescribedRows {
  /** From where the distances of rows are measured, by component, and their quantiles, by cluster. */
  centres: Centres;
  quantiles: Float32Array;
  /** What log densities are computed by; null of a graph. */
  densities: RowDensities | null;
  /** What places rows on the map. */
  map: MapNet;
}

/**
 * Writes the model. `names`: of the columns of the data; null where they have none. Moments are of what is clustered; `logged`: columns that
 * are known by their logarithms.
 */
export function writeModel(
  { transform, config }: Pick<Prepared, 'transform' | 'config'>,
  state: State,
  { names, logged = [] }: { names: readonly string[] | null; logged?: readonly number[] },
  encoder: Encoder | null,
  { mean, covariance }: DataMoments['moments'],
  { centres, quantiles, densities, map }: DescribedRows,
  out: Pick<RunDirectory, 'stream'>,
): void {
  const by = classifierOf(config.schedule, state, transform.scale);
  const { axes, shift, units, places } = map;
  const model: ModelSteps = {
    // Else they are of latent vectors.
    ...(encoder
      ? { encode: savedEncoder(encoder) }
      : { moments: savedMoments(mean, diagonalOf(covariance, mean.length)) }),
    ...(logged.length && { log: { columns: Int32Array.from(logged) } }),
    ...stepsOf({ ...transform, grid: null }),
    ...('net' in by ? { net: savedNet(by.net) } : stepsOfMixture(by)),
    distances: { centres: centres.values, quantiles },
    ...(densities && stepsOfDensities(densities)),
    map: { axes, shift, units, places },
  };
  const file = out.stream(MODEL);
  for (const part of encodeModel({ model, names })) file.write(part);
  file.finish();
}

const savedNet = (layers: readonly Layer[]) => ({
  widths: Int32Array.of(layers[0].rows, ...layers.map(({ cols }) => cols)),
  params: concat(
    layers.flatMap(({ weights, bias }) => [weights, bias]),
    Float32Array,
  ),
});

/** The layers up to the latent one, and what is done to rows before. */
const savedEncoder = (encoder: Encoder) => ({
  ...encoder.input,
  widths: Int32Array.from(encoder.widths.slice(0, codeLayer(encoder.widths) + 2)),
  params: concat(
    encoderLayers(encoder).map(({ values }) => values),
    Float32Array,
  ),
});

const stepsOfMixture = ({
  mixture,
  groups,
  background,
}: Extract<Classifier, { mixture: unknown }>): ModelSteps => {
  const { weights, bias, constant } = mixture;
  return {
    mixture: { weights, bias, constant },
    ...(groups && { groups: { cluster: groups } }),
    ...(background && {
      background: {
        weight: Float64Array.of(background.weight),
        logDensity: Float64Array.of(background.logDensity),
      },
    }),
  };
};

const stepsOfDensities = (by: RowDensities): ModelSteps =>
  'offset' in by
    ? { densityOffset: { offset: Float64Array.of(by.offset) } }
    : { densities: { constants: by.constants, rows: by.centres.values } };

/** Writes the mixture of all rows, for people. */
export async function writeMixture(
  { transform: { offset }, config, d }: Pick<Prepared, 'transform' | 'config' | 'd'>,
  state: State,
  { T, mixture }: { T: FullPassResult['T']; mixture: Mixture },
  out: RunDirectory,
): Promise<void> {
  const k = state.mixture.k;
  const means = mixture.means.map((mean) => mean.map((value, i) => value + offset[i]));
  await out.npy('mixture/weights.npy', '<f8', [k], mixture.weights);
  await out.npy('mixture/means.npy', '<f8', [k, d], await concatInSlices(means));
  const covariances = await concatInSlices(mixture.covariances);
  await out.npy(
    'mixture/covariances.npy',
    '<f8',
    [k, d, ...(config.covariance === 'full' ? [d] : [])],
    covariances,
  );
  const counts = Float64Array.from(T, (t) => t[0]);
  await out.npy('mixture/counts.npy', '<f8', [k], counts);
  if (state.groups) await out.npy(COMPONENTS, '<i4', [k], state.groups);
  const { background } = state;
  if (background)
    await out.npy(BACKGROUND, '<f8', [2], Float64Array.of(background.weight, background.logDensity));
}
