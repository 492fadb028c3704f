import { accepts, logEvidence, logMergeRatio } from '../../../model/hastings.ts';
import { cutOfOccupied, occupiedOf } from '../../../model/hierarchy/dendrogram.ts';
import { evidenceTree } from '../../../model/hierarchy/evidence-tree.ts';
import type { Mixture } from '../../../model/mixture.ts';
import { nearestPairs } from '../../../model/mixture.ts';
import { resizeClusteringNet, resizeSubNets } from '../../../model/nets/surgery.ts';
import { pointEstimate } from '../../../model/niw.ts';
import { generator } from '../../../model/random.ts';
import { type Change, type Step, withStep } from '../../../model/schedule.ts';
import type { Parts, State } from '../../../model/state.ts';
import { addStatistics } from '../../../model/statistics.ts';
import { pcaSplit, totalOf } from '../halves.ts';
import { byCluster, type Partition } from '../rounds.ts';
import type { Run } from '../run-context.ts';
import { tempering } from '../sample.ts';
import { metricOf } from './sub-clusters.ts';

/** Merge steps, and how the nets and the mixture follow a split or merge step. */

const NEIGHBOURS = 3;

/** Proposes to merge each cluster with its nearest neighbours, best ratio first, each cluster at most once. */
export async function mergeStep(run: Run, state: State): Promise<State> {
  const { mixture } = state;
  const { k } = mixture;
  if (k === 1) {
    // For the progress of the next merge step.
    const own = state.parts.map(totalOf);
    return applyChange(
      run,
      { ...state, merged: own },
      'merge',
      [{ from: 0, refit: null }],
      { groups: 'net', cells: [-1], leaves: 1 },
      [],
      { progress: await progressOf(run, state, own) },
    );
  }
  const [T] = await run.rounds.cellStatistics([byCluster(k)], [], [mixture.means]);
  const { config } = run;
  const zeta = tempering(run, state);
  const pairs = nearestPairs(mixture, NEIGHBOURS);
  const ratios = pairs.map(({ a, b }) => logMergeRatio(state.prior, T[a], T[b], config.alpha, zeta));
  const candidates = pairs.map((pair, i) => ({ ...pair, logRatio: ratios[i] }));
  candidates.sort((p, q) => (p.logRatio === q.logRatio ? p.distance - q.distance : q.logRatio - p.logRatio));

  const merged = new Map<number, number>();
  for (const { a, b, logRatio } of candidates) {
    const free = !merged.has(a) && !merged.has(b);
    const uniform = generator(run.seed, 'accept-merge', state.epoch, a, b).uniform();
    const accepted = free && accepts(logRatio, uniform);
    run.emit({
      type: 'merge',
      epoch: state.epoch,
      clusters: [a, b],
      points: [T[a][0], T[b][0]],
      logRatio: Number.isFinite(logRatio) ? logRatio : null,
      accepted,
      ...(!free && { reason: 'one of them has merged' }),
    });
    if (accepted) merged.set(a, b).set(b, a);
  }

  const next: NextCluster[] = [];
  const cells: number[] = Array(k).fill(-1);
  let leaves = 0;
  for (let a = 0; a < k; a++) {
    const b = merged.get(a);
    if (b === undefined) next.push({ from: a, refit: null });
    else if (a < b && Math.min(T[a][0], T[b][0]) === 0) {
      // An empty cluster contributes no points: remove it and keep the other unchanged, with its sub-clusters.
      next.push({ from: T[a][0] >= T[b][0] ? a : b, refit: null });
    } else if (a < b) {
      const weight = mixture.weights[a] + mixture.weights[b];
      next.push({ from: T[a][0] >= T[b][0] ? a : b, refit: { weight, T: addStatistics(T[a], T[b]) } });
      cells[a] = cells[b] = leaves++;
    }
  }
  const after = T.flatMap((t, a): Float64Array[] => {
    const b = merged.get(a);
    return b === undefined ? [t] : a < b ? [addStatistics(t, T[b])] : [];
  });
  const progress = await progressOf(run, state, after);
  const partition = { groups: 'net' as const, cells, leaves: Math.max(1, leaves) };
  return applyChange(run, { ...state, merged: after }, 'merge', next, partition, [], { progress });
}

/** By how much the evidence of these clusters exceeds that of those after the merge step before, under the same prior. */
async function progressOf(run: Run, state: State, T: Float64Array[]): Promise<number | null> {
  const { prior, merged } = state;
  if (!merged.length) return null;
  const zeta = tempering(run, state);
  const evidence = (clusters: Float64Array[]) => logEvidence(prior, clusters, run.config.alpha, zeta);
  return evidence(T) - evidence(merged);
}

/** A merge step for `--clusters`: the clusters are those of a cut of the tree of merges. */
export async function joinStep(run: Run, state: State, clusters: number): Promise<State> {
  const { mixture } = state;
  const { k } = mixture;
  const [T] = await run.rounds.cellStatistics([byCluster(k)], [], [mixture.means]);
  const rows = T.map(([n]) => n);
  const occupied = occupiedOf(rows).map((cluster) => T[cluster]);
  const joins = evidenceTree(state.prior, occupied, run.config.alpha);
  const { groups } = cutOfOccupied(rows, joins, clusters);
  const cells: number[] = Array(k).fill(-1);
  let leaves = 0;
  const next = groups.map(({ from, largest }): NextCluster => {
    if (from.length === 1) return { from: largest, refit: null };
    for (const cluster of from) cells[cluster] = leaves;
    leaves++;
    const weight = from.reduce((sum, cluster) => sum + mixture.weights[cluster], 0);
    return { from: largest, refit: { weight, T: from.map((cluster) => T[cluster]).reduce(addStatistics) } };
  });
  const partition = { groups: 'net' as const, cells, leaves: Math.max(1, leaves) };
  return applyChange(run, { ...state, merged: [] }, 'merge', next, partition, [], {
    progress: null,
    joined: true,
  });
}

/** A cluster of the resized model. It keeps cluster `from` unchanged, or is refitted to new statistics. */
export interface NextCluster {
  /** The old cluster whose units of the nets it gets. */
  from: number;
  /** The share of that cluster's rows that it gets, by which the bias of its unit changes; 1 if it is not given. */
  share?: number;
  refit: { weight: number; T: Float64Array } | null;
}

/**
 * The state after a split or merge step. Refitted clusters get new estimates and sub-clusters by PCA split; the nets are
 * resized. Leaf i of `partition` holds the rows of the i-th refitted cluster.
 */
export async function applyChange(
  run: Run,
  state: State,
  kind: Change,
  next: NextCluster[],
  partition: Partition,
  vectors: Float64Array[],
  step: Pick<Step, 'progress' | 'exhaustive' | 'joined'>,
): Promise<State> {
  const refits = next.flatMap(({ refit }) => refit ?? []);
  const changed = Math.abs(next.length - state.mixture.k);
  const steps = withStep(state.steps, { kind, changed, k: next.length, ...step });
  const paced = { ...state, untilStep: run.schedule.every, steps };
  if (!changed) return paced;
  const { config } = run;
  const statistics = refits.map(({ T }) => T);
  const halves = statistics.length
    ? await pcaSplit(run, partition, vectors, statistics, metricOf(run, state.prior, next.length))
    : [];
  const estimates = statistics.map((T) => pointEstimate(state.prior, T));
  let i = 0;
  const clusters = next.map(({ from, refit }) =>
    refit
      ? { weight: refit.weight, ...estimates[i], parts: halves[i++] }
      : {
          weight: state.mixture.weights[from],
          mean: state.mixture.means[from],
          covariance: state.mixture.covariances[from],
          parts: state.parts[from],
        },
  );
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const mixture: Mixture = {
    ...state.mixture,
    k: next.length,
    weights: Float64Array.from(clusters, ({ weight }) => weight / total),
    means: clusters.map(({ mean }) => mean),
    covariances: clusters.map(({ covariance }) => covariance),
  };
  const units = next.map(({ from, share = 1, refit }) => ({ from, share, fresh: refit !== null }));
  return {
    ...paced,
    mixture,
    parts: clusters.map(({ parts }): Parts => parts),
    net: resizeClusteringNet(state.net, units),
    subs: resizeSubNets(state.subs, units, run.seed, state.epoch),
    frozen: config.freeze,
    patience: run.schedule.patience,
    lossSinceChange: null,
  };
}
