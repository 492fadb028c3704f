import type { Mixture } from '../../model/mixture.ts';
import { type Change, type Step, withStep } from '../../model/schedule.ts';
import type { Parts, State } from '../../model/state.ts';
import type { Partition } from './rounds.ts';
import type { Run } from './run-context.ts';
import { metricOf, pcaSplit } from './splits/sub-clusters.ts';

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
  const { config, calculate } = run;
  const statistics = refits.map(({ T }) => T);
  const halves = statistics.length
    ? await pcaSplit(
        run,
        partition,
        vectors,
        statistics,
        run.d,
        config.covariance,
        metricOf(run, state.prior, next.length),
      )
    : [];
  const estimates = await calculate('pointEstimates', state.prior, statistics);
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
    net: await calculate('resizeClusteringNet', state.net, units),
    subs: await calculate('resizeSubNets', state.subs, units, run.seed, state.epoch),
    frozen: config.freeze,
    patience: run.schedule.patience,
    lossSinceChange: null,
  };
}
