import { UserError } from '../../base/user-error.ts';
import { roundingAmplification } from '../../model/gaussian/estep.ts';
import { mStep } from '../../model/gaussian/mstep.ts';
import { learnedPrior, learnsNu } from '../../model/gaussian/niw.ts';
import type { Mixture } from '../../model/mixture.ts';
import {
  adamStep,
  averageGradients,
  averageNets,
  clusteringNet,
  type Net,
  subNets,
} from '../../model/nets/net.ts';
import { nextChange, nextPace, trainsSubNets, weightSmoothing } from '../../model/schedule.ts';
import { labelsByMixture, type State } from '../../model/state.ts';
import { shift, statisticsLength, unscale } from '../../model/statistics.ts';
import type { RunConfig } from '../../run/config.ts';
import { SUB_BATCH } from '../../tasks/capacity.ts';
import { byCluster, type Partition } from '../../tasks/cells/ask.ts';
import type { Task } from '../../tasks/table.ts';
import { type ResultArrays, rowsTensor } from '../rounds/sums.ts';
import { pcaSplit } from './halves.ts';
import { learnsPrior, relearnedPrior } from './prior.ts';
import { isPhiLong, publishNet, publishParts, publishSubs } from './publish.ts';
import { hasSubNets, runBy, type Target, type TrainingRun } from './run-context.ts';

/** Limits on a block of rows: the bytes of its features Φ, and rows that fit the L2 cache. */
const PHI_BYTES = 32 << 20;
const MOST_BLOCK_ROWS = 4096;
const FEWEST_BLOCK_ROWS = 16;
const MOST_SUB_STEPS = 10;

/** Mean training losses of an epoch; null where the net did not train. */
export interface Losses {
  loss: number | null;
  subLoss: number | null;
}

/**
 * The state before the first epoch: the clusters around the centres with which the likelihood begins, the mixture estimated from
 * these, sub-clusters by PCA split.
 */
export async function initialState(run: TrainingRun): Promise<State> {
  const { rounds, d, prior, config, schedule, seed, likelihood } = run;
  const { centres, sample, untilStep, hidden, graph } = await likelihood.start(run);
  const k = centres.length;
  const partition: Partition = {
    groups: 'all',
    cells: [k === 1 ? 0 : { near: [...centres.keys()], into: [...centres.keys()] }],
    leaves: k,
  };
  const [T] = await rounds.cellStatistics([partition], centres, [centres]);
  const parts = await pcaSplit(run, partition, centres, T);
  return {
    epoch: 0,
    sample,
    prior,
    mixture: mStep(prior, T, weightSmoothing(config.schedule)),
    net: clusteringNet(seed, d, config.hidden ?? hidden, k),
    subs: subNets(seed, d, k),
    parts,
    // The net must learn the clusters of k-means before the M-step may move them.
    frozen: k > 1 ? Math.max(config.freeze, config.splitMergeEvery - 1) : 0,
    patience: schedule.patience,
    untilStep,
    overlaps: false,
    merged: [],
    loss: null,
    lossSinceChange: null,
    steps: [],
    ...(graph && { graph }),
  };
}

/**
 * The epoch after `before`: local steps of all nets in one round, each on the labels and targets from the start of the epoch; then,
 * unless the mixture is frozen, the M-step on soft statistics by the updated net, or by the mixture.
 */
export async function runEpoch(given: TrainingRun, before: State): Promise<{ state: State; losses: Losses }> {
  // Where clusters overlap, rows go to them by the mixture.
  const run = runBy(given, before.overlaps);
  const state = { ...before, epoch: before.epoch + 1 };
  const { schedule, rounds, config, likelihood } = run;
  // Where rows go to clusters by the mixture, nothing reads the net.
  const trainsNet = state.mixture.k > 1 && !run.byMixture;
  // Before a split step; and once no clusters have merged, as EM may have converged already.
  const mayConverge =
    run.byMixture && state.steps.at(-1)?.changed === 0 && nextChange(state.steps) === 'split';
  const { k } = state.mixture;
  const isDue = mayConverge || trainsSubNets(schedule, state.epoch, state, state.steps, k);
  const trainsSubs = isDue && hasSubNets(run, k);
  let { net, subs, mixture, prior, parts } = state;
  const losses: Losses = { loss: null, subLoss: null };

  if (trainsNet || trainsSubs || run.byMixture) {
    const target = await likelihood.target(run, state);
    const tasks: Task[] = [];
    if (trainsNet) tasks.push(clusterTask(run, state, target));
    if (trainsSubs) {
      publishSubs(run, subs);
      parts = await likelihood.subTargets(run, state);
      await publishParts(run, { ...state, parts });
      tasks.push(subTask(run, state));
    }
    const sums = tasks.length ? await rounds.sum(tasks) : [];
    if (trainsNet) {
      const after = afterSteps(run, net, sums[0], config.lr, localBatches(run, state).steps);
      net = after.net;
      losses.loss = assertFinite(after.loss, state, '--lr', config.lr);
      publishNet(run, net);
    }
    if (trainsSubs) {
      const after = afterSteps(run, subs, sums.at(-1)!, config.subLr, subSteps(run));
      subs = after.net;
      losses.subLoss = assertFinite(after.loss, state, '--sub-lr', config.subLr);
    }
  }

  if (likelihood.isMStepDue(state) && state.epoch >= schedule.mStepFrom) {
    const next = await nextMixture(run, state);
    mixture = next.mixture;
    if (learnsPrior(run, state)) {
      const { config, covariance } = run;
      prior =
        learnsNu(prior) && mixture.k > 1
          ? relearnedPrior(run, state, next.T, new Uint8Array(prior.d).fill(1))
          : learnedPrior(prior, config.priorScale, mixture, covariance);
    }
  }
  const pace = nextPace(state, losses.loss);
  // Further passes of EM would bring nothing; a split step follows an epoch in which sub-nets have been trained.
  const isConverged =
    run.byMixture &&
    mixture !== state.mixture &&
    shareMoved(state.mixture, mixture) < FEW_MOVED &&
    Math.abs(prior.logDetPsi - state.prior.logDetPsi) < SAME_SCALE * prior.d;
  const least = nextChange(state.steps) === 'split' && !isDue ? 1 : 0;
  const untilStep = isConverged ? Math.min(least, pace.untilStep) : pace.untilStep;
  const next: State = {
    ...state,
    net,
    subs,
    mixture,
    prior,
    parts,
    ...pace,
    untilStep,
  };
  return { state: next, losses };
}

/**
 * The trained state with the mixture that labels rows. Tails of the net's responsibilities widen clusters, so where it has assigned rows to
 * them that mixture is the estimate from its labels, unless new clusters are yet to be learned.
 */
export async function labellingState(run: TrainingRun, state: State): Promise<State> {
  const { config, rounds, byMixture } = run;
  const { mixture, net, prior } = state;
  const isFinal = byMixture || state.overlaps || state.frozen > 0;
  if (isFinal || !labelsByMixture(config.schedule, state)) return state;
  publishNet(run, net);
  const [T] = await rounds.cellStatistics([byCluster(mixture.k)], mixture.means, [mixture.means]);
  return { ...state, mixture: mStep(prior, T, weightSmoothing(config.schedule)) };
}

/** Share of the rows that a pass of EM moves, below which it has converged. */
const FEW_MOVED = 1e-4;
/** By how much the logarithm of a variance in Ψ changes at most, once Ψ has converged too. */
const SAME_SCALE = 1e-2;

/** The share of the rows that have moved from one cluster to another, at least. */
const shareMoved = (before: Mixture, after: Mixture): number =>
  after.weights.reduce((sum, weight, k) => sum + Math.abs(weight - before.weights[k]), 0) / 2;

/** Returns `value`. UserError if it is not finite: too large a learning rate overflows float32. */
function assertFinite(value: number, { epoch }: State, flag: string, rate: number): number {
  if (Number.isFinite(value)) return value;
  throw new UserError(`training diverged in epoch ${epoch}: ${flag} ${rate} is too large; lower it`);
}

/** Above this `flatness`, the error of float32 sums may exceed a tenth of a cluster's smallest variance. */
const MAX_FLATNESS_FLOAT32 = 2e6;

/**
 * With more clusters, or where Φ alone takes longer to write, sums over the few responsibilities of a row that count (2·n·P operations
 * each, float64) take less time than products over all (2·n·K·P, float32).
 */
const MOST_BY_PRODUCT = 64;
/** Responsibilities that do not count then: the smoothing of the target alone makes each of them 1e-5. */
const LEAST_RESPONSIBILITY = 1e-4;

/** The M-step, on float32 statistics where they are precise enough for the resulting mixture, else on float64 ones. */
async function nextMixture(run: TrainingRun, state: State): Promise<{ mixture: Mixture; T: Float64Array[] }> {
  const { config, transform } = run;
  const fit = (T: Float64Array[]) => {
    for (const cluster of T) for (const value of cluster) assertFinite(value, state, '--lr', config.lr);
    return { mixture: mStep(state.prior, T, weightSmoothing(config.schedule)), T };
  };
  const { k, means } = state.mixture;
  const isMany = config.schedule !== 'paper' && (k > MOST_BY_PRODUCT || isPhiLong(state.mixture));
  if (isMany || run.byMixture)
    return fit(await pivotedStatistics(run, means, isMany ? LEAST_RESPONSIBILITY : 0));
  const quick = fit(await softStatistics(run, k));
  const flatness = roundingAmplification(quick.mixture, transform.scale);
  if (flatness <= MAX_FLATNESS_FLOAT32) return quick;
  return fit(await pivotedStatistics(run, means, 0));
}

/** T of each cluster by soft assignments (the net's, or the mixture's), in float64 about the means of the last M-step. */
async function pivotedStatistics(
  { rounds, config, d, dispatcher, byMixture }: TrainingRun,
  means: Float64Array[],
  least: number,
) {
  const { covariance } = config;
  const p = statisticsLength(d, covariance);
  dispatcher.publish('means', { rows: rowsTensor(means, d) });
  const task: Task = { task: 'pivoted-statistics', diagonal: covariance === 'diag', least, byMixture };
  const [{ T }] = await rounds.sum([task]);
  return means.map((mean, k) => shift(T.subarray(k * p, (k + 1) * p), d, covariance, mean));
}

/** T of each cluster by the net's soft assignments, in float32 and network coordinates, converted to model coordinates. */
async function softStatistics(
  { rounds, config, d, transform }: TrainingRun,
  k: number,
): Promise<Float64Array[]> {
  const { covariance } = config;
  const p = statisticsLength(d, covariance);
  const task: Task = { task: 'statistics', diagonal: covariance === 'diag', block: blockRows(p) };
  const [{ T: flat }] = await rounds.sum([task]);
  return Array.from({ length: k }, (_, c) =>
    unscale(flat.subarray(c * p, (c + 1) * p), transform.scale, covariance),
  );
}

/** Rows of a block whose Φ has `p` columns. */
function blockRows(p: number): number {
  return Math.max(FEWEST_BLOCK_ROWS, Math.min(MOST_BLOCK_ROWS, Math.floor(PHI_BYTES / 4 / p)));
}

/** What is averaged over shards: the gradients of a single local step, else the weights after several. */
const averagedQuantity = ({ localSteps }: RunConfig) => (localSteps > 1 ? 'weights' : 'gradients');

/** The net after its shards' local steps, or after one Adam step on their mean gradient. */
function afterSteps(
  run: TrainingRun,
  net: Net,
  sums: ResultArrays,
  rate: number,
  steps: number,
): { net: Net; loss: number } {
  if (averagedQuantity(run.config) === 'weights') return averageNets(net, sums, steps);
  const { gradients, loss } = averageGradients(net, sums);
  return { net: adamStep(net, gradients, rate), loss };
}

/**
 * If the smallest shard has fewer batches than this, batches are smaller, and rows are used again where even these are too few:
 * with one or two steps per epoch the net cannot follow splits, and merges undo them.
 */
const FEWEST_BATCHES = 5;
const SMALL_SHARD_STEPS = 10;
const SMALLEST_BATCH = 16;

/** Rows of a batch, and steps per epoch: `--batch-size` and at most `--local-steps`, fewer where the smallest shard's sample is small. */
function localBatches(
  { config: { batchSize, localSteps } }: TrainingRun,
  { sample: { smallestShard } }: State,
) {
  if (smallestShard >= FEWEST_BATCHES * batchSize)
    return { batch: batchSize, steps: Math.min(localSteps, Math.floor(smallestShard / batchSize)) };
  const batch = Math.max(SMALLEST_BATCH, Math.floor(smallestShard / SMALL_SHARD_STEPS));
  return { batch: Math.min(batchSize, batch), steps: Math.min(localSteps, SMALL_SHARD_STEPS) };
}

/** Sub-nets draw their batches with replacement, so the number of rows does not limit their steps. */
const subSteps = ({ config }: TrainingRun) => Math.min(config.localSteps, MOST_SUB_STEPS);

function clusterTask(run: TrainingRun, state: State, target: Target): Task {
  const { net, epoch } = state;
  const { config } = run;
  return {
    task: 'cluster-steps',
    epoch,
    ...localBatches(run, state),
    rate: config.lr,
    done: net.steps,
    diagonal: config.covariance === 'diag',
    average: averagedQuantity(config),
    ...target,
  };
}

function subTask(run: TrainingRun, { subs, epoch }: State): Task {
  const { config } = run;
  return {
    task: 'sub-steps',
    epoch,
    steps: subSteps(run),
    batch: SUB_BATCH,
    rate: config.subLr,
    done: subs.steps,
    average: averagedQuantity(config),
    byMixture: run.byMixture,
  };
}
