import { UserError } from '../../base/user-error.ts';
import { adamStep } from '../../model/adam.ts';
import { flatness } from '../../model/estep.ts';
import { chooseByWeight, lloydCentres } from '../../model/kmeans.ts';
import { type Mixture, mStep } from '../../model/mixture.ts';
import { clusteringNet, type Net, subNets } from '../../model/net.ts';
import { generator } from '../../model/random.ts';
import { changeAfter, hasSettled, trainsSubNets } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { shift, statisticsLength, unscale } from '../../model/statistics.ts';
import type { Task } from '../../proto/tasks.ts';
import { nd } from '../../proto/tensors.ts';
import { mergeStep } from './merge.ts';
import { averageGradients, averageNets, stepLengths } from './net-states.ts';
import { publishEStep, publishNet, publishParts, publishSubs } from './publish.ts';
import type { Leaves, Lengths, Sums } from './rounds.ts';
import type { Run } from './run-context.ts';
import { splitStep } from './split.ts';
import { pcaSplit } from './sub-clusters.ts';

/** Φ of a block of rows is to stay within this many bytes, and a block within the second-level cache. */
const PHI_BYTES = 32 << 20;
const BLOCK_ROWS = 4096;
/** Rows of each cluster in a step of its sub-net. */
const SUB_BATCH = 16;

/** What an epoch reports besides the state that it leads to. */
export interface Losses {
  loss: number | null;
  subLoss: number | null;
}

/** Hears of a run what its events do not say. */
export interface Observer {
  /** The data are known, and what follows from them. */
  prepared(run: Run, sampleRows: number): void;
  epoch(state: State, losses: Losses): void;
  /** A state that no epoch led to. */
  state(state: State): void;
  /** All rows have their labels, so many of each cluster. */
  labelled(counts: number[]): void;
}

/** K = `--init-k` clusters by k-means++ and Lloyd, the mixture by MAP, sub-clusters by PCA split. */
export async function initialState(run: Run): Promise<State> {
  const { rounds, d, prior, config, seed } = run;
  const origin = new Float64Array(d);
  const centres = config.initK > 1 ? await kMeans(run, config.initK) : [origin];
  const k = centres.length;
  const partition: Leaves = {
    groups: 'all',
    cells: [k === 1 ? 0 : { near: [...centres.keys()], into: [...centres.keys()] }],
    leaves: k,
  };
  const [T] = await rounds.scatter([partition], centres, [centres]);
  const parts = await pcaSplit(rounds, partition, centres, T, config.covariance);
  return {
    epoch: 0,
    mixture: mStep(prior, T, config.weightSmoothing),
    net: clusteringNet(seed, d, config.hidden, k),
    subs: subNets(seed, d, k),
    parts,
    // The net has to learn the clusters that k-means found before it may move them.
    frozen: k > 1 ? Math.max(config.freeze, config.splitMergeEvery - 1) : 0,
    steps: [],
  };
}

async function kMeans(run: Run, k: number): Promise<Float64Array[]> {
  const { rounds, dispatcher, d, seed } = run;
  const centres: Float64Array[] = [];
  for (let draw = 0; draw < k; draw++) {
    const rows = new Float64Array(Math.max(1, draw) * d);
    centres.forEach((centre, i) => {
      rows.set(centre, i * d);
    });
    dispatcher.publish('centres', { rows: nd(rows, rows.length / d, d) });
    const parts = await rounds.run({ task: 'seed-distances', centres: draw, draw }, { weight: 1, row: d }, [
      'centres',
    ]);
    const weights = parts.map(({ weight }) => weight[0]);
    const shard = chooseByWeight(weights, generator(seed, 'k-means++', draw).uniform());
    centres.push(parts[shard].row.slice());
  }
  let at = centres;
  const near = [...centres.keys()];
  for (let round = 0; round < 10; round++) {
    const partition: Leaves = { groups: 'all', cells: [{ near, into: near }], leaves: k };
    const [sums] = await rounds.sums([partition], at);
    at = lloydCentres(sums, at);
  }
  return at;
}

/** What training has come to. */
export type Advance =
  /** An epoch is over; `whole`: no split or merge step is still to come at its end. */
  | { type: 'epoch'; whole: boolean; state: State; losses: Losses }
  /** So is the split or merge step at its end. */
  | { type: 'step'; state: State };

/**
 * Epochs, and the steps between them, until the run has settled or `--max-epochs`; from any state on, the initial one
 * or one that a step or a whole epoch has led to. Returns the last state and why it stopped.
 */
export async function* train(
  run: Run,
  start: State,
  smallestShard: number,
): AsyncGenerator<Advance, { state: State; reason: string }> {
  const { config, schedule } = run;
  let state = start;
  publishNet(run, state.net);
  let form = publishEStep(run, state.mixture);
  for (;;) {
    if (config.earlyStop && hasSettled(state.steps)) return { state, reason: 'settled' };
    if (state.epoch >= config.maxEpochs) return { state, reason: 'max-epochs' };
    const before = state.mixture;
    const epoch = state.epoch + 1;
    const change = changeAfter(schedule, epoch);
    const { next, losses } = await runEpoch(run, { ...state, epoch }, form, smallestShard);
    yield { type: 'epoch', whole: !change, state: next, losses };
    state = next;
    if (change) {
      state = await (change === 'split' ? splitStep : mergeStep)(run, state);
      const { changed, k } = state.steps.at(-1)!;
      run.emit({ type: 'step', epoch, kind: change, changed, k });
      if (changed) publishNet(run, state.net);
      yield { type: 'step', state };
    }
    if (state.mixture !== before) form = publishEStep(run, state.mixture);
  }
}

/**
 * One epoch: local steps of all nets in one round, each on the labels and targets that the epoch started from; then,
 * unless the mixture is frozen, soft statistics by the net that came of it, and the M-step.
 */
async function runEpoch(run: Run, state: State, form: 'product' | 'cholesky', smallestShard: number) {
  const { schedule, rounds, config } = run;
  const trainsNet = state.mixture.k > 1;
  const trainsSubs = trainsSubNets(schedule, state.epoch);
  let { net, subs, mixture } = state;
  const losses: Losses = { loss: null, subLoss: null };

  if (trainsNet || trainsSubs) {
    const tasks: [Task, Lengths][] = [];
    const average = config.localSteps > 1 ? 'weights' : 'gradients';
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

/** Above this `flatness`, float32 sums may be off by a tenth of a cluster's smallest variance. */
const FLATTEST = 2e6;

/** The M-step, on statistics in float32 where these are good enough for what comes of them. */
async function nextMixture(run: Run, state: State): Promise<Mixture> {
  const { prior, config, transform } = run;
  const fit = (T: Float64Array[]) => {
    for (const cluster of T) for (const value of cluster) finite(value, state, '--lr', config.lr);
    return mStep(prior, T, config.weightSmoothing);
  };
  const quick = fit(await softStatistics(run, state.mixture.k));
  if (flatness(quick, transform.scale) <= FLATTEST) return quick;
  return fit(await pivotedStatistics(run, state.mixture.means));
}

/** T of each cluster by the net's soft assignments, in float64 from the rows up, about the means of the last M-step. */
async function pivotedStatistics({ rounds, config, d, dispatcher }: Run, means: Float64Array[]) {
  const { covariance } = config;
  const p = statisticsLength(d, covariance);
  const rows = new Float64Array(means.length * d);
  means.forEach((mean, k) => {
    rows.set(mean, k * d);
  });
  dispatcher.publish('means', { rows: nd(rows, means.length, d) });
  const task: Task = { task: 'pivoted-statistics', diagonal: covariance === 'diag' };
  const [{ T }] = await rounds.sum([[task, { T: means.length * p }]], ['net', 'means']);
  return means.map((mean, k) => shift(T.slice(k * p, (k + 1) * p), d, covariance, mean));
}

/** T of each cluster by the net's soft assignments, in the model's coordinates from the networks'. */
async function softStatistics({ rounds, config, d, transform }: Run, k: number): Promise<Float64Array[]> {
  const diagonal = config.covariance === 'diag';
  const p = statisticsLength(d, config.covariance);
  const task: Task = { task: 'statistics', diagonal, block: blockRows(d, diagonal) };
  const [{ T: flat }] = await rounds.sum([[task, { T: k * p }]], ['net']);
  return Array.from({ length: k }, (_, c) =>
    unscale(flat.slice(c * p, (c + 1) * p), transform.scale, config.covariance),
  );
}

/** The net after its shards' local steps, or after one Adam step on their mean gradient. */
function afterSteps(run: Run, net: Net, sums: Sums, rate: number, steps: number): { net: Net; loss: number } {
  if (run.config.localSteps > 1) return averageNets(net, sums, steps);
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
const subSteps = ({ config }: Run) => Math.min(config.localSteps, 10);

function clusterTask(
  run: Run,
  { net, epoch }: State,
  form: 'product' | 'cholesky',
  smallestShard: number,
): Task {
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
    average: config.localSteps > 1 ? 'weights' : 'gradients',
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
    average: config.localSteps > 1 ? 'weights' : 'gradients',
  };
}

function blockRows(d: number, diagonal: boolean): number {
  const p = statisticsLength(d, diagonal ? 'diag' : 'full');
  return Math.max(16, Math.min(BLOCK_ROWS, Math.floor(PHI_BYTES / 4 / p)));
}
