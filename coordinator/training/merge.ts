import { accepts, logMergeRatio } from '../../model/hastings.ts';
import { squaredDistance } from '../../model/kmeans.ts';
import { generator } from '../../model/random.ts';
import type { State } from '../../model/state.ts';
import { addStatistics } from '../../model/statistics.ts';
import { applyChange, type NextCluster } from './changes.ts';
import type { Run } from './run-context.ts';

const NEIGHBOURS = 3;

interface Candidate {
  a: number;
  b: number;
  distance: number;
  logRatio: number;
}

/** Proposes to merge each cluster with its nearest neighbours, best ratio first, each cluster at most once. */
export async function mergeStep(run: Run, state: State): Promise<State> {
  const { mixture } = state;
  const { k } = mixture;
  if (k === 1)
    return applyChange(
      run,
      state,
      'merge',
      [{ from: 0, refit: null }],
      { groups: 'net', cells: [-1], leaves: 1 },
      [],
    );
  const byCluster = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
  const [T] = await run.rounds.cellStatistics([byCluster], [], [mixture.means]);
  const candidates = neighbours(mixture.means).map(
    (pair): Candidate => ({
      ...pair,
      logRatio: logMergeRatio(run.prior, T[pair.a], T[pair.b], run.config.alpha, run.zeta),
    }),
  );
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
  return applyChange(run, state, 'merge', next, { groups: 'net', cells, leaves: Math.max(1, leaves) }, []);
}

/** Pairs in which one cluster is among the other's nearest neighbours, each pair once. */
function neighbours(means: Float64Array[]): { a: number; b: number; distance: number }[] {
  const d = means[0].length;
  const near = means.map((mean, a) => {
    // Sorted insertion, as sorting all distances is slow for many clusters. Ties keep index order.
    const nearest: { a: number; b: number; distance: number }[] = [];
    for (const [b, other] of means.entries()) {
      if (b === a) continue;
      const distance = squaredDistance(mean, 0, other, d);
      if (nearest.length === NEIGHBOURS && !(distance < nearest[NEIGHBOURS - 1].distance)) continue;
      const at = nearest.findIndex((other) => distance < other.distance);
      nearest.splice(at < 0 ? nearest.length : at, 0, { a, b, distance });
      if (nearest.length > NEIGHBOURS) nearest.pop();
    }
    return nearest;
  });
  return near.flat().filter(({ a, b }) => a < b || !near[b].some((back) => back.b === a));
}
