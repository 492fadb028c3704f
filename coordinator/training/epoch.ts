import { UserError } from '../../base/user-error.ts';
import { adamStep } from '../../model/adam.ts';
import { splitEvenly } from '../../model/arrays.ts';
import { type EStepForm, roundingAmplification } from '../../model/estep.ts';
import { type Mixture, mStep } from '../../model/mixture.ts';
import type { Net } from '../../model/net.ts';
import { trainsSubNets } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { shift, statisticsLength, unscale } from '../../model/statistics.ts';
import type { Task } from '../../proto/tasks.ts';
import type { RunConfig } from '../config.ts';
import { averageGradients, averageNets, stepLengths } from './net-states.ts';
import { publishNet, publishParts, publishSubs } from './publish.ts';
import { type Lengths, rowsTensor, type Sums } from './rounds.ts';
import type { Run } from './run-context.ts';

/** Φ of a block of rows is to stay within this many bytes, and a block within the second-level cache. */
const PHI_BYTES = 32 << 20;
const MOST_BLOCK_ROWS = 4096;
const FEWEST_BLOCK_ROWS = 16;
/** Rows of each cluster in a step of its sub-net. */
const SUB_BATCH = 16;
const MOST_SUB_STEPS = 10;

/** What an epoch reports besides the state that it leads to. */
export interface Losses {
  loss: number | null;
  subLoss: number | null;
}

/**
 * One epoch: local steps of all nets in one round, each on the labels and targets that the epoch started from; then,
 * unless the mixture is frozen, soft statistics by the net that came of it, and the M-step.
 */
export async function runEpoch(
  run: Run,
  state: State,
  form: EStepForm,
  smallestShard: number,
): Promise<{ next: State; losses: Losses }> {
  const { schedule, rounds, config } = run;
  const trainsNet = state.mixture.k > 1;
  const trainsSubs = trainsSubNets(schedule, state.epoch);
  let { net, subs, mixture } = state;
  const losses: Losses = { loss: null, subLoss: null };

  if (trainsNet || trainsSubs) {
    const tasks: [Task, Lengths][] = [];
    const average = averaged(config);
    if (trainsNet) tasks.push([clusterTask(run, state, form, smallestShard), stepLengths(net, average)]);
    if (trainsSubs) {
      publishSubs(run, subs);
      publishParts(run, state);
      tasks.push([subTask(run, state), stepLengths(subs, average)]);
    }
    const found = await rounds.sum(tasks, [
      'net',
      ...(trainsNet ? ['net-moments', 'e-step'] : []),
      ...(trainsSubs ? ['subs', 'subs-moments', 'parts'] : []),
    ]);
    if (trainsNet) {
      const after = afterSteps(run, net, found[0], config.lr, localSteps(run, smallestShard));
      net = after.net;
      losses.loss = finite(after.loss, state, '--lr', config.lr);
      publishNet(run, net);
    }
    if (trainsSubs) {
      const after = afterSteps(run, subs, found.at(-1)!, config.subLr, subSteps(run));
      subs = after.net;
      losses.subLoss = finite(after.loss, state, '--sub-lr', config.subLr);
    }
  }

  if (state.frozen === 0 && state.epoch >= schedule.mStepFrom) {
    mixture = await nextMixture(run, state);
  }
  const next: State = { ...state, net, subs, mixture, frozen: Math.max(0, state.frozen - 1) };
  return { next, losses };
}

/** What training has come to in this epoch; too large a rate takes it past what float32 can hold. */
function finite(value: number, { epoch }: State, flag: string, rate: number): number {
  if (Number.isFinite(value)) return value;
  throw new UserError(`training diverged in epoch ${epoch}: ${flag} ${rate} is too large; lower it`);
}

/** Above this `roundingAmplification`, float32 sums may be off by a tenth of a cluster's smallest variance. */
const FLATTEST = 2e6;

/** The M-step, on statistics in float32 where these are good enough for what comes of them. */
async function nextMixture(run: Run, state: State): Promise<Mixture> {
  const { prior, config, transform } = run;
  const fit = (T: Float64Array[]) => {
    for (const cluster of T) for (const value of cluster) finite(value, state, '--lr', config.lr);
    return mStep(prior, T, config.weightSmoothing);
  };
  const quick = fit(await softStatistics(run, state.mixture.k));
  if (roundingAmplification(quick, transform.scale) <= FLATTEST) return quick;
  return fit(await pivotedStatistics(run, state.mixture.means));
}

/** T of each cluster by the net's soft assignments, in float64 from the rows up, about the means of the last M-step. */
async function pivotedStatistics({ rounds, config, d, dispatcher }: Run, means: Float64Array[]) {
  const { covariance } = config;
  const p = statisticsLength(d, covariance);
  dispatcher.publish('means', { rows: rowsTensor(means, d) });
  const task: Task = { task: 'pivoted-statistics', diagonal: covariance === 'diag' };
  const [{ T }] = await rounds.sum([[task, { T: means.length * p }]], ['net', 'means']);
  return splitEvenly(T, means.length).map((part, k) => shift(part, d, covariance, means[k]));
}

/** T of each cluster by the net's soft assignments, in the model's coordinates from the networks'. */
async function softStatistics({ rounds, config, d, transform }: Run, k: number): Promise<Float64Array[]> {
  const { covariance } = config;
  const p = statisticsLength(d, covariance);
  const task: Task = { task: 'statistics', diagonal: covariance === 'diag', block: blockRows(p) };
  const [{ T: flat }] = await rounds.sum([[task, { T: k * p }]], ['net']);
  return splitEvenly(flat, k).map((T) => unscale(T, transform.scale, covariance));
}

/** Rows of a block, of which Φ has `p` columns. */
function blockRows(p: number): number {
  return Math.max(FEWEST_BLOCK_ROWS, Math.min(MOST_BLOCK_ROWS, Math.floor(PHI_BYTES / 4 / p)));
}

/** What of their local steps shards give to be averaged: a single one's gradients, else the nets that came of them. */
const averaged = ({ localSteps }: RunConfig) => (localSteps > 1 ? 'weights' : 'gradients');

/** The net after its shards' local steps, or after one Adam step on their mean gradient. */
function afterSteps(run: Run, net: Net, sums: Sums, rate: number, steps: number): { net: Net; loss: number } {
  if (averaged(run.config) === 'weights') return averageNets(net, sums, steps);
  const { gradients, loss } = averageGradients(net, sums);
  return { net: adamStep(net, gradients, rate), loss };
}

/** A shard with fewer batches than this gets smaller ones: with one or two steps an epoch the net cannot follow splits. */
const FEWEST_BATCHES = 5;
const SMALL_SHARD_STEPS = 10;
const SMALLEST_BATCH = 16;

/** Rows of a step: `--batch-size`, less where the smallest shard's sample is small. */
function batchRows({ config }: Run, smallestShard: number): number {
  if (smallestShard >= FEWEST_BATCHES * config.batchSize) return config.batchSize;
  return Math.min(config.batchSize, Math.max(SMALLEST_BATCH, Math.floor(smallestShard / SMALL_SHARD_STEPS)));
}

/** Steps of an epoch: `--local-steps`, or as many batches as the smallest shard's sample has, but one at least. */
function localSteps(run: Run, smallestShard: number): number {
  return Math.min(
    run.config.localSteps,
    Math.max(1, Math.floor(smallestShard / batchRows(run, smallestShard))),
  );
}

/** The sub-nets draw with replacement, so they take their steps however few the rows; but never a whole pass of them. */
const subSteps = ({ config }: Run) => Math.min(config.localSteps, MOST_SUB_STEPS);

function clusterTask(run: Run, { net, epoch }: State, form: EStepForm, smallestShard: number): Task {
  const { config } = run;
  return {
    task: 'cluster-steps',
    epoch,
    steps: localSteps(run, smallestShard),
    batch: batchRows(run, smallestShard),
    rate: config.lr,
    done: net.steps,
    loss: config.clusterLoss,
    form,
    diagonal: config.covariance === 'diag',
    average: averaged(config),
  };
}

function subTask(run: Run, { subs, epoch }: State): Task {
  const { config } = run;
  return {
    task: 'sub-steps',
    epoch,
    steps: subSteps(run),
    batch: SUB_BATCH,
    rate: config.subLr,
    done: subs.steps,
    loss: config.subLoss,
    average: averaged(config),
  };
}
