import type { Mixture } from '../../model/mixture.ts';
import { mapEstimate } from '../../model/niw.ts';
import type { Change } from '../../model/schedule.ts';
import type { Parts, State } from '../../model/state.ts';
import { resizeClusteringNet, resizeSubNets } from '../../model/surgery.ts';
import type { Leaves } from './rounds.ts';
import type { Run } from './run-context.ts';
import { pcaSplit } from './sub-clusters.ts';

/** A cluster of the resized model: an old one as it was, or one made from others' rows. */
export type Next = { from: number; made: null } | { from: number; made: { weight: number; T: Float64Array } };

/**
 * The state after a split or merge step: mixture by MAP of the new clusters' statistics, nets resized, PCA-split
 * sub-clusters for what is new. Leaf i of `partition` holds the rows of the i-th new cluster.
 */
export async function applyChange(
  run: Run,
  state: State,
  kind: Change,
  next: Next[],
  partition: Leaves,
  vectors: Float64Array[],
): Promise<State> {
  const made = next.flatMap(({ made }) => made ?? []);
  const changed = Math.abs(next.length - state.mixture.k);
  const steps = [...state.steps, { kind, changed, k: next.length }];
  if (!changed) return { ...state, steps };
  const { prior, config } = run;
  const own = made.map(({ T }) => T);
  const halves = own.length
    ? await pcaSplit(run.rounds, partition, vectors, own, run.d, config.covariance)
    : [];
  const fits = made.map(({ T }) => mapEstimate(prior, T));
  let i = 0;
  const clusters = next.map(({ from, made }) =>
    made
      ? { weight: made.weight, ...fits[i], parts: halves[i++] }
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
  const units = next.map(({ from, made }) => ({ from, fresh: made !== null }));
  return {
    ...state,
    mixture,
    parts: clusters.map(({ parts }): Parts => parts),
    net: resizeClusteringNet(state.net, units),
    subs: resizeSubNets(state.subs, units, run.seed, state.epoch),
    frozen: config.freeze,
    steps,
  };
}
