import { accepts } from '../../model/hastings.ts';
import { generator } from '../../model/random.ts';
import type { State } from '../../model/state.ts';
import { addStatistics } from '../../model/statistics.ts';
import { applyChange, type NextCluster } from './changes.ts';
import type { Run } from './run-context.ts';
import { tempering } from './sample.ts';

const NEIGHBOURS = 3;

/** Proposes to merge each cluster with its nearest neighbours, best ratio first, each cluster at most once. */
export async function mergeStep(run: Run, state: State): Promise<State> {
  const { mixture } = state;
  const { k } = mixture;
  if (k === 1) {
    // For the progress of the next merge step.
    const own = await run.calculate('totals', state.parts);
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
  const byCluster = { groups: 'net' as const, cells: [...Array(k).keys()], leaves: k };
  const [T] = await run.rounds.cellStatistics([byCluster], [], [mixture.means]);
  const { config, calculate } = run;
  const zeta = tempering(run, state);
  const pairs = await calculate('nearestPairs', mixture, NEIGHBOURS);
  const ratios = await calculate('mergeRatios', state.prior, T, pairs, config.alpha, zeta);
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
  const [now, before] = await run.calculate('evidence', prior, [T, merged], run.config.alpha, zeta);
  return now - before;
}
