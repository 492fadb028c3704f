import * as z from 'zod/mini';
import { type Covariance, statisticsLength } from '../model/statistics.ts';
import type { Sizes } from '../proto/shapes.ts';
import { MAX_BATCH_SIZE, MAX_LOCAL_STEPS } from '../proto/task-limits.ts';
import type { StateSpec } from '../proto/tasks.ts';
import type { Nd, Tensors } from '../proto/tensors.ts';
import { DENSITIES, STATES } from './states.ts';

/** What entries of several tasks have in common: schemas of parameters, and sizes that follow from them. */

export const count = z.int().check(z.nonnegative());
export const positive = z.number().check(z.positive());
export const natural = z.int().check(z.positive());
export const upTo = (least: number, most: number) => z.int().check(z.gte(least), z.lte(most));
export const steps = upTo(1, MAX_LOCAL_STEPS);
export const batch = upTo(1, MAX_BATCH_SIZE);
export const bins = upTo(2, 1 << 12);
export const share = z.number().check(z.gte(0), z.lte(1));
export const positiveShare = z.number().check(z.gt(0), z.lte(1));
export const name = z.string().check(z.maxLength(64));
/** With larger ones, rounding errors of volumes could look like gains, and the search for a partition would not end. */
export const resolution = z.number().check(z.positive(), z.lte(1024));
/** Parameters of the mean field of the graph likelihood. */
export const field = z.object({ coupling: positive, resolution });
/** Coupling J and resolution γ of the mean field. */
export type FieldTaskParameters = z.infer<typeof field>;

/** The sample, as a task reads it. */
export const sample = { transform: STATES.transform, hashes: STATES.hashes };
/** A task on the sample, as the model or the networks see it. */
export const onSample = { rows: 'sample', sums: true } as const;

/** The most rows of n with a priority below `share` that there are with any seed that anyone will meet: ten standard deviations. */
export const mostSampled = (n: number, share: number) =>
  Math.min(n, Math.ceil(n * share + 10 * Math.sqrt(n * share) + 100));

/** The most rows that the sample of each shard can have, of as many rows, by the states that a task on it reads. */
export function mostSampledRows(shardRows: number[], states: Record<string, Tensors>): number[] {
  if (states.points) {
    const starts = states.points.starts.data;
    return shardRows.map((_, shard) => starts[shard + 1] - starts[shard]);
  }
  const state = states.transform ?? states.columns;
  const share = state ? Math.min(1, Math.max(0, state.below.data[0])) : 1;
  return shardRows.map((rows) => mostSampled(rows, share));
}

export const areRanges = (min: Nd, max: Nd) =>
  min.data.every((least: number, i: number) => least <= max.data[i]);

/** A task's covariance, which is a flag on the wire. */
export const covarianceOf = (task: { diagonal: boolean }): Covariance => (task.diagonal ? 'diag' : 'full');

export const statistics = (d: 'D' | 'dim') => (task: { diagonal: boolean }, sizes: Sizes) => ({
  P: statisticsLength(sizes[d], covarianceOf(task)),
});

/** Rows go to clusters by the mixture's responsibilities, in Cholesky form, in place of those of the clustering net. */
export const byMixture = z.optional(z.boolean());

export const readsOfClusters = (task: { byMixture?: boolean | undefined }): Record<string, StateSpec> =>
  task.byMixture ? { 'e-step': DENSITIES } : { net: STATES.net };
/** The numbers of a row on its way to clusters. */
export const widestOf = (
  { byMixture }: { byMixture?: boolean | undefined },
  { K, D, widest }: Sizes,
): number => (byMixture ? K * D : widest);
