import { concatInSlices } from '../../base/slices.ts';
import { savedFences } from '../../data/fences.ts';
import { CENTRES, QUANTILES } from '../../data/saved/row-files.ts';
import type { Centres } from '../../model/description/centres.ts';
import type { Layout } from '../../model/layout.ts';
import { diagonalOf } from '../../model/linalg.ts';
import { codeLayer } from '../../model/nets/autoencoder.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { Alternation, Stability, Summary } from '../../view/summary.ts';
import type { Encoder } from '../encoder/encoder.ts';
import type { FullPassResult } from '../training/full-pass.ts';
import { REPLICATES } from '../training/graph/resolution.ts';
import type { DataMoments } from '../training/reading/moments.ts';
import type { Run } from '../training/run-context.ts';
import type { RunTotals } from './checkpoint.ts';
import { layersModel } from './export-model.ts';
import type { RunDirectory } from './run-directory.ts';

/** The summary of a run, from its full pass and its totals. */
export async function summarize(
  { calculate }: Pick<Run, 'calculate'>,
  { counts, table, silhouette, outliers }: FullPassResult,
  about: {
    state: State;
    layout: Layout;
    /** Columns of the rows. */
    dim: number;
    spent: RunTotals;
    out: string;
    notes(k: number): string[];
    alternations?: Alternation[];
  },
): Promise<Summary> {
  const { state, layout, spent, out, notes } = about;
  const scores = table && (await calculate('scores', table));
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
    dim: about.dim,
    seconds: spent.seconds,
    out,
    notes: notes(k),
    replicates: null,
    ...(about.alternations && { alternations: about.alternations }),
    stability: stabilityOf(state),
  };
}

function stabilityOf({ graph }: State): Stability | null {
  if (!graph?.range || graph.stability === null) return null;
  return { count: REPLICATES, k: [...graph.range], agreement: graph.stability };
}

/** The layer widths up to the code, and what is done to rows before. The weights are in the model. */
const savedEncoder = ({ widths, input }: Encoder) => ({
  widths: widths.slice(0, codeLayer(widths) + 2),
  factor: [...input.factor],
  shift: [...input.shift],
});

/** What columns are like, roughly. */
const savedMoments = (mean: Float64Array, variance: Float64Array) => ({
  mean: Array.from(mean, roughly),
  deviation: Array.from(variance, (value) => roughly(Math.sqrt(Math.max(0, value)))),
});
const roughly = (value: number) => Number(value.toPrecision(6));

/**
 * Writes the model and the mixture: all result files except the labels. `names`: of the columns of the data; null where they
 * have none. Moments are of what is clustered.
 */
export async function writeModel(
  run: Run,
  state: State,
  { T }: FullPassResult,
  names: readonly string[] | null,
  encoder: Encoder | null,
  { mean, covariance }: DataMoments['moments'],
  out: RunDirectory,
): Promise<void> {
  const { transform, config, d, calculate } = run;
  const { json, weights } = layersModel(state.net, transform, encoder);
  out.json('model/model.json', json);
  out.bytes('model/weights.bin', weights);
  const { before, normalize, input, dim, columns, scale, offset, fences } = transform;
  out.json('model/transform.json', {
    normalize,
    input,
    dim,
    columns: columns && [...columns],
    scale: [...scale],
    offset: [...offset],
    ...(names && { names }),
    // Else they are of codes.
    ...(!encoder && { moments: savedMoments(mean, diagonalOf(covariance, mean.length)) }),
    ...(encoder && { encoder: savedEncoder(encoder) }),
    ...(before && { before: { factor: [...before.factor], shift: [...before.shift] } }),
    ...(fences && { fences: savedFences(fences) }),
  });
  const k = state.mixture.k;
  const mixture = await calculate('mStep', state.prior, T, weightSmoothing(config.schedule));
  const means = mixture.means.map((mean) => mean.map((value, i) => value + offset[i]));
  await out.npy('mixture/weights.npy', '<f8', [k], mixture.weights);
  await out.npy('mixture/means.npy', '<f8', [k, d], await concatInSlices(means));
  await out.npy(
    'mixture/covariances.npy',
    '<f8',
    config.covariance === 'full' ? [k, d, d] : [k, d],
    await concatInSlices(mixture.covariances),
  );
  await out.npy(
    'mixture/counts.npy',
    '<f8',
    [k],
    Float64Array.from(T, (t) => t[0]),
  );
}

/** Writes from where distances of rows are measured, and their quantiles, by cluster. */
export async function writeCentres(
  { k, values }: Centres,
  quantiles: Float32Array,
  out: RunDirectory,
): Promise<void> {
  await out.npy(CENTRES, '<f8', [k, values.length / k], Float64Array.from(values));
  await out.npy(QUANTILES, '<f8', [k, quantiles.length / k], Float64Array.from(quantiles));
}
