import { pointEstimate } from '../../../model/gaussian/niw.ts';
import type { Change, Step } from '../../../model/schedule.ts';
import type { State } from '../../../model/state.ts';
import type { Partition } from '../../../tasks/cells/ask.ts';
import { pcaSplit } from '../halves.ts';
import type { TrainingRun } from '../run-context.ts';
import { withChange, withUnits } from '../step.ts';
import { metricOf } from './sub-clusters.ts';

/** How mixture and nets follow a split or merge step that has decided which clusters there are. */

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
  run: TrainingRun,
  state: State,
  kind: Change,
  next: NextCluster[],
  partition: Partition,
  vectors: Float64Array[],
  step: Pick<Step, 'progress' | 'exhaustive' | 'joined'>,
): Promise<State> {
  const refits = next.flatMap(({ refit }) => refit ?? []);
  // Other Gaussians may have replaced as many.
  const changed = Math.abs(next.length - state.mixture.k) || Number(refits.length > 0);
  const after = withChange(run, state, { kind, changed, k: next.length, ...step });
  if (!changed) return after;
  const statistics = refits.map(({ T }) => T);
  const halves = statistics.length
    ? await pcaSplit(run, partition, vectors, statistics, metricOf(run, state.prior, next.length))
    : [];
  const { weights, means, covariances } = state.mixture;
  let i = 0;
  const clusters = next.map(({ from, refit }) =>
    refit
      ? { weight: refit.weight, ...pointEstimate(state.prior, refit.T), parts: halves[i++] }
      : { weight: weights[from], mean: means[from], covariance: covariances[from], parts: state.parts[from] },
  );
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return {
    ...withUnits(
      run,
      after,
      next.map(({ from, share = 1, refit }) => ({ from, share, fresh: refit !== null })),
    ),
    mixture: {
      ...state.mixture,
      k: next.length,
      weights: Float64Array.from(clusters, ({ weight }) => weight / total),
      means: clusters.map(({ mean }) => mean),
      covariances: clusters.map(({ covariance }) => covariance),
    },
    parts: clusters.map(({ parts }) => parts),
    frozen: run.config.freeze,
  };
}
