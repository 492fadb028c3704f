import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Transform } from '../../data/transform.ts';
import { planTransform } from '../../data/transform-plan.ts';
import { splitEvenly } from '../../model/arrays.ts';
import { type Groups, totalsByCluster } from '../../model/gaussian/components.ts';
import { type Mixture, softCounts } from '../../model/mixture.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { type Classifier, classifierOf } from '../../model/state.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import type { RunConfig } from '../../run/config.ts';
import { MODEL } from '../../run/model-file.ts';
import { readSavedMixture } from '../../run/row-files.ts';
import { hasLabels, type RunFiles } from '../../run/run-files.ts';
import { readSavedClusters } from '../../run/saved-clusters.ts';
import { readTrainedModel } from '../../run/trained-model.ts';

/** The fitted model: from `model/` and `mixture/` of a finished run, else from a checkpoint. */
export interface FittedModel {
  transform: Transform;
  /** In model coordinates, centred on the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** The cluster of each component; null: each is one. */
  groups: Groups | null;
  /** Rows of each cluster. `counted`: by the labels of all rows (finished runs); else soft counts of the sample. */
  rows: ArrayLike<number>;
  counted: boolean;
  /** What labels rows; null of finished runs, whose labels are in a file. */
  classifier: Classifier | null;
}

/** Reads the model of a finished run. UserError if files are missing or damaged. */
export function readFittedModel(run: string): FittedModel {
  const { transform, classifier, groups, k: clusters, files } = readTrainedModel(run);
  const { k, dim: d, covariance, weights, means, covariances, counts } = readSavedMixture(files);
  if (d !== transform.dim || k !== classifier.at(-1)!.values.length)
    throw files.damaged('mixture/means.npy', `its shape (${k}, ${d}) is not that of the model`);
  const centred = splitEvenly(means, k).map((mean) => mean.map((value, i) => value - transform.offset[i]));
  return {
    transform,
    classifier: null,
    groups,
    rows: labelCounts(files, clusters) ?? totalsByCluster(counts, groups),
    counted: true,
    mixture: { k, d, covariance, weights, means: centred, covariances: splitEvenly(covariances, k) },
  };
}

/** Rows with each label where the mixture's counts lack some: those that were set apart as outliers. */
function labelCounts(files: RunFiles, k: number): Float64Array | null {
  const described = files.has('outliers.npy') ? readSavedClusters(files) : null;
  return described && Float64Array.from({ length: k }, (_, c) => described.clusters[c]?.size ?? 0);
}

/** Does the run have a model that is drawn? `result`: of its run.json. */
export const hasFittedModel = (run: string, result: object | null) =>
  result !== null &&
  hasLabels(run) &&
  [MODEL, 'mixture/counts.npy'].every((name) => existsSync(join(run, name)));

/** Null without the transform on which the sample decided. */
export function modelFromCheckpoint(
  { dataSummary, transform: saved, state }: ClusterCheckpoint,
  { transform: choice, schedule }: RunConfig,
): FittedModel | null {
  const transform = saved ?? planTransform(choice, dataSummary.moments, dataSummary.fences).transform;
  if (transform.dim !== state.mixture.d || (!saved && state.graph && choice === 'auto')) return null;
  return {
    transform,
    mixture: state.mixture,
    groups: null,
    rows: softCounts(state.mixture.weights, state.sample.rows, weightSmoothing(schedule)),
    counted: false,
    classifier: classifierOf(schedule, state, transform.scale),
  };
}
