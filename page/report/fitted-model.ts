import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Transform } from '../../data/transform.ts';
import { splitEvenly } from '../../model/arrays.ts';
import type { Classifier } from '../../model/classifier.ts';
import type { Mixture } from '../../model/mixture.ts';
import { readSavedMixture } from '../../run/row-files.ts';
import type { RunFiles } from '../../run/run-files.ts';
import { hasLabels } from '../../run/run-files.ts';
import { readSavedClusters } from '../../run/saved-clusters.ts';
import { readTrainedModel } from '../../run/trained-model.ts';

/** The fitted model: from `model/` and `mixture/` of a finished run, else from a checkpoint. */
export interface FittedModel {
  transform: Transform;
  /** In model coordinates, centred on the mean of the data, as in a checkpoint. */
  mixture: Mixture;
  /** Rows of each cluster. `counted`: by the labels of all rows (finished runs); else soft counts of the sample. */
  rows: ArrayLike<number>;
  counted: boolean;
  /** What labels rows; null of finished runs, whose labels are in a file. */
  classifier: Classifier | null;
}

/** Reads the model of a finished run. UserError if files are missing or damaged. */
export function readFittedModel(run: string): FittedModel {
  const { transform, classifier, files } = readTrainedModel(run);
  const { k, dim: d, covariance, weights, means, covariances, counts } = readSavedMixture(files);
  if (d !== transform.dim || k !== classifier.at(-1)!.values.length)
    throw files.damaged('mixture/means.npy', `its shape (${k}, ${d}) is not that of the model`);
  const centred = splitEvenly(means, k).map((mean) => mean.map((value, i) => value - transform.offset[i]));
  return {
    transform,
    classifier: null,
    rows: labelCounts(files, k) ?? counts,
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
  ['model/transform.json', 'mixture/counts.npy'].every((name) => existsSync(join(run, name)));
