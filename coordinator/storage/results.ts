import type { Layout } from '../../model/layout.ts';
import { mStep } from '../../model/mixture.ts';
import { accuracy, ari, nmi } from '../../model/scores.ts';
import type { State } from '../../model/state.ts';
import type { Summary } from '../../view/summary.ts';
import type { FullPassResult } from '../training/full-pass.ts';
import type { Run } from '../training/run-context.ts';
import type { RunTotals } from './checkpoint.ts';
import { layersModel } from './export-model.ts';
import type { RunDirectory } from './run-directory.ts';

/** The summary of a run, from its full pass and its totals. */
export function summarize(
  { T, table, silhouette }: FullPassResult,
  run: { loss: number | null; state: State; layout: Layout; spent: RunTotals; out: string },
): Summary {
  const { loss, state, layout, spent, out } = run;
  return {
    k: T.filter((t) => t[0] > 0).length,
    nmi: table && nmi(table),
    ari: table && ari(table),
    acc: table && accuracy(table),
    silhouette,
    loss,
    epochs: state.epoch,
    rounds: spent.rounds,
    workers: spent.workers,
    rows: layout.rows,
    dim: layout.dim,
    seconds: spent.seconds,
    out,
  };
}

/** Writes the model and the mixture: all result files except the labels. */
export function writeModel(run: Run, state: State, { T }: FullPassResult, out: RunDirectory): void {
  const { transform, prior, config, d } = run;
  const { json, weights } = layersModel(state.net, transform);
  out.json('model/model.json', json);
  out.bytes('model/weights.bin', weights);
  const { normalize, input, dim, columns, scale, offset } = transform;
  out.json('model/transform.json', {
    normalize,
    input,
    dim,
    columns: columns && [...columns],
    scale: [...scale],
    offset: [...offset],
  });
  const k = state.mixture.k;
  const mixture = mStep(prior, T, config.weightSmoothing);
  const flat = (arrays: Float64Array[]) => Float64Array.from(arrays.flatMap((array) => [...array]));
  const means = mixture.means.map((mean) => mean.map((value, i) => value + offset[i]));
  out.npy('mixture/weights.npy', '<f8', [k], mixture.weights);
  out.npy('mixture/means.npy', '<f8', [k, d], flat(means));
  out.npy(
    'mixture/covariances.npy',
    '<f8',
    config.covariance === 'full' ? [k, d, d] : [k, d],
    flat(mixture.covariances),
  );
  out.npy(
    'mixture/counts.npy',
    '<f8',
    [k],
    Float64Array.from(T, (t) => t[0]),
  );
}
