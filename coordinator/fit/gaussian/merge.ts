import { accepts, logEvidence, logMergeRatio } from '../../../model/gaussian/hastings.ts';
import { nearestPairs } from '../../../model/gaussian/nearest-pairs.ts';
import { cutOfOccupied, occupiedOf } from '../../../model/hierarchy/dendrogram.ts';
import { evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { generator } from '../../../model/random.ts';
import type { Step } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import { addStatistics } from '../../../model/statistics.ts';
import { byCluster } from '../../../tasks/cells/ask.ts';
import { totalOf } from '../halves.ts';
import type { TrainingRun } from '../run-context.ts';
import { mergeTempering, tempering } from '../sample.ts';
import { emitProposal } from '../step.ts';
import { applyChange, type NextCluster } from './change.ts';
import { type ClusterRowsOf, logSoftMergeRatio } from './overlap.ts';

/** Merge steps. */

/** As in the authors' code. */
const NEIGHBOURS = 3;

/** Proposes to merge each cluster with its nearest neighbours, best ratio first, each cluster at most once. */
export async function mergeStep(
  run: TrainingRun,
  state: State,
  clusterRows: ClusterRowsOf | null = null,
): Promise<State> {
  const { mixture, prior } = state;
  const { alpha } = run.config;
  const zeta = tempering(run, state);
  const counted = mergeTempering(run, state);
  const T = mixture.k === 1 ? state.parts.map(totalOf) : await statisticsOf(run, mixture);
  // Where none overlap, hard statistics decide as well; but two that are all have to gain more than a single-cluster model.
  const isSoft = state.overlaps ? mixture.k > 1 : mixture.k === 2;
  const pairs = (mixture.k === 1 ? [] : nearestPairs(mixture, NEIGHBOURS)).map((pair) => {
    const { a, b } = pair;
    const logRatio = logMergeRatio(prior, T[a], T[b], alpha, counted);
    // Overlap is worth log 2 a row at most: some are farther apart than that.
    const mayOverlap = logRatio > -counted * (T[a][0] + T[b][0]) * Math.LN2;
    return { ...pair, logRatio, isSoft: isSoft && mayOverlap && T[a][0] > 0 && T[b][0] > 0 };
  });
  const rows = clusterRows && pairs.some((pair) => pair.isSoft) ? await clusterRows(run, state) : null;
  const candidates = pairs.map((pair) =>
    rows && pair.isSoft ? { ...pair, logRatio: logSoftMergeRatio(run, state, rows, pair.a, pair.b) } : pair,
  );
  candidates.sort((p, q) => (p.logRatio === q.logRatio ? p.distance - q.distance : q.logRatio - p.logRatio));

  const merged = new Map<number, number>();
  for (const { a, b, logRatio } of candidates) {
    const free = !merged.has(a) && !merged.has(b);
    const uniform = generator(run.seed, 'accept-merge', state.epoch, a, b).uniform();
    const accepted = free && accepts(logRatio, uniform);
    const reason = free ? undefined : 'one of them has merged';
    emitProposal(run, 'merge', state, {
      clusters: [a, b],
      points: [T[a][0], T[b][0]],
      logRatio,
      accepted,
      reason,
    });
    if (accepted) merged.set(a, b).set(b, a);
  }
  const groups = T.flatMap((t, a): Group[] => {
    const b = merged.get(a);
    if (b === undefined) return [{ from: [a], largest: a }];
    if (b < a) return [];
    const largest = t[0] >= T[b][0] ? a : b;
    // An empty cluster contributes no points: it is removed, and the other unchanged, with its sub-clusters.
    return [{ from: Math.min(t[0], T[b][0]) === 0 ? [largest] : [a, b], largest }];
  });
  const after = groups.map((group) => unionOf(group, T));
  const evidence = (clusters: Float64Array[]) => logEvidence(prior, clusters, alpha, zeta);
  // By how much the evidence exceeds that of the clusters after the merge step before, under the same prior.
  const progress = state.merged.length ? evidence(after) - evidence(state.merged) : null;
  return mergeGroups(run, { ...state, merged: after }, T, groups, { progress });
}

/** A merge step for `--clusters`: the clusters are those of a cut of the tree of merges. */
export async function joinStep(run: TrainingRun, state: State, clusters: number): Promise<State> {
  const T = await statisticsOf(run, state.mixture);
  const { groups } = cutByEvidence(run, state, T, clusters);
  return mergeGroups(run, { ...state, merged: [] }, T, groups, { progress: null, joined: true });
}

function cutByEvidence({ config }: TrainingRun, { prior }: State, T: Float64Array[], clusters: number) {
  const rows = T.map(([n]) => n);
  const occupied = occupiedOf(rows).map((cluster) => T[cluster]);
  return cutOfOccupied(rows, evidenceTree(prior, occupied, config.alpha), clusters);
}

/** The same once training has ended, by components: the cluster of each. Rows of `others` after the components are in none. */
export async function joinedComponents(
  run: TrainingRun,
  state: State,
  clusters: number,
  others: number,
): Promise<Int32Array> {
  const { k, means } = state.mixture;
  const [T] = await run.rounds.cellStatistics([byCluster(k, others)], [], [means]);
  return cutByEvidence(run, state, T, clusters).place;
}

async function statisticsOf({ rounds }: TrainingRun, { k, means }: Mixture): Promise<Float64Array[]> {
  const [T] = await rounds.cellStatistics([byCluster(k)], [], [means]);
  return T;
}

/** Clusters that become one, and the one of them with most rows. */
interface Group {
  from: readonly number[];
  largest: number;
}

const unionOf = ({ from }: Group, T: Float64Array[]) =>
  from.map((cluster) => T[cluster]).reduce(addStatistics);

/** The state with a cluster for each group. A group of one is that cluster, unchanged. */
function mergeGroups(
  run: TrainingRun,
  state: State,
  T: Float64Array[],
  groups: Group[],
  step: Pick<Step, 'progress' | 'joined'>,
): Promise<State> {
  const cells: number[] = Array(T.length).fill(-1);
  let leaves = 0;
  const next = groups.map((group): NextCluster => {
    const { from, largest } = group;
    if (from.length === 1) return { from: largest, refit: null };
    for (const cluster of from) cells[cluster] = leaves;
    leaves++;
    const weight = from.reduce((sum, cluster) => sum + state.mixture.weights[cluster], 0);
    return { from: largest, refit: { weight, T: unionOf(group, T) } };
  });
  return applyChange(
    run,
    state,
    'merge',
    next,
    { groups: 'net', cells, leaves: Math.max(1, leaves) },
    [],
    step,
  );
}
