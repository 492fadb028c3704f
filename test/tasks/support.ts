// Shared by the tests of the tasks: one world, states and tasks on it, and sums in float64.
import assert from 'node:assert/strict';
import { eStepOf } from '../../model/gaussian/estep.ts';
import { type Covariance, statisticsLength } from '../../model/statistics.ts';
import { nd, type Tensors, take } from '../../proto/tensors.ts';
import { runTask } from '../../tasks/compute/table.ts';
import type { Task, TaskOf } from '../../tasks/table.ts';
import { eachMoment } from '../model/support.ts';
import {
  blobMixture,
  D,
  type Matrix,
  randomMatrix,
  range,
  type TestWorker,
  world,
} from '../worker/support.ts';

export const w = world();
export const SHARDS = range(w.layout.shards);

/** The reading of rows whose sample stays with the worker. */
export const READING: TaskOf<'moments'> = {
  ...{ task: 'moments', normalize: false, diagonal: false, sample: w.below, sends: false },
};

/** Σ weight·φ(row) in float64. */
export function momentSums(rows: Matrix, cov: Covariance, weights = rows.map(() => 1)): number[] {
  const d = rows[0]?.length ?? D;
  const T = new Array(statisticsLength(d, cov)).fill(0);
  rows.forEach((row, r) => {
    T[0] += weights[r];
    for (let i = 0; i < d; i++) T[1 + i] += weights[r] * row[i];
    eachMoment(d, cov, (i, j, p) => {
      T[p] += weights[r] * row[i] * row[j];
    });
  });
  return T;
}

export const covarianceOf = (diagonal: boolean): Covariance => (diagonal ? 'diag' : 'full');
export const f64 = (result: Tensors, name: string) => take(result, name, 'float64');

/** The targets of local steps of the clustering net, as a state. */
export function eStepState(form: 'product' | 'cholesky', covariance: Covariance): Tensors {
  const step = eStepOf(blobMixture(covariance), w.transform.scale, form);
  if (step.form === 'product') return { theta: nd(step.theta, step.theta.length / 3, 3) };
  return {
    weights: nd(step.weights, D, 3 * D),
    bias: nd(step.bias, 3 * D),
    constant: nd(step.constant, 3),
  };
}

/** Log-densities of a row by that state in Cholesky form, in float64. */
export function densitiesOf({ weights, bias, constant }: Tensors, y: number[]): number[] {
  return range(3).map((k) => {
    const u = range(D).map((i) =>
      y.reduce(
        (sum, value, j) => sum + value * weights.data[j * 3 * D + k * D + i],
        bias.data[k * D + i] as number,
      ),
    );
    return constant.data[k] - u.reduce((sum, value) => sum + value * value, 0) / 2;
  });
}

/** Two centres for each cluster, the targets of local steps of the sub-nets. */
export const CENTRES = range(3).map((c) => randomMatrix(60 + c, 2, D));
export const centreState = (): Tensors => ({
  centres: nd(Float32Array.from(CENTRES.flat(2)), 3, 2, D),
  metric: nd(Float32Array.from(w.transform.scale, (s) => s * s)),
});

export const clusterTask = (change: Partial<TaskOf<'cluster-steps'>> = {}): TaskOf<'cluster-steps'> => ({
  task: 'cluster-steps',
  epoch: 4,
  steps: 3,
  batch: 16,
  rate: 0.01,
  done: w.net.steps,
  form: 'product',
  diagonal: false,
  average: 'weights',
  ...change,
});

export const subTask = (change: Partial<TaskOf<'sub-steps'>> = {}): TaskOf<'sub-steps'> => ({
  task: 'sub-steps',
  epoch: 4,
  steps: 3,
  batch: 5,
  rate: 0.01,
  done: w.subs.steps,
  average: 'weights',
  ...change,
});

/** The result must be zeros, with the same names and lengths as that of a shard with rows. */
export function addsNothing(result: Tensors, full: Tensors): void {
  assert.deepEqual(Object.keys(result).sort(), Object.keys(full).sort());
  for (const name of Object.keys(full))
    assert.deepEqual(f64(result, name), new Float64Array(f64(full, name).length), name);
}

export const run = <T extends Task>({ context }: TestWorker, task: T, shard = 0) =>
  runTask(context, task, w.unit(shard));
