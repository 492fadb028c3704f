import { type Centres, centresOf, reachOf } from '../../model/description/distances.ts';
import { MIN_PART_ROWS } from '../../model/gaussian/hastings.ts';
import { pointEstimate, withinClusters } from '../../model/gaussian/niw.ts';
import { type FarRows, type MissedCluster, missedClusters, totalOf } from '../../model/missed.ts';
import type { Mixture } from '../../model/mixture.ts';
import { clusterCountOf, labelsByMixture, type State, withoutClusters } from '../../model/state.ts';
import { mostClusters } from '../../tasks/capacity.ts';
import type { Prepared, TrainingRun } from './run-context.ts';
import { tempering } from './sample.ts';
import { withUnits } from './step.ts';

/** Clusters that the sample missed are added to the mixture between two full passes (docs/algorithm.md, section 8). */

/** Pairs of far rows are looked at, each with D operations: so many rows take one to three seconds. */
const [MOST_OPERATIONS, MOST_ROWS] = [2 ** 30, 1 << 13];

/** How many far rows the full pass keeps; 0 where none are looked for: the sample has all rows, labels are not by the mixture, or others decide on clusters. */
export function farRowsKept(
  { config, d, layout }: Pick<Prepared, 'config' | 'd' | 'layout'>,
  state: State,
): number {
  const areSought =
    labelsByMixture(config.schedule, state) && config.clusters === null && state.sample.rows < layout.rows;
  return areSought ? Math.min(MOST_ROWS, Math.floor(Math.sqrt(MOST_OPERATIONS / d))) : 0;
}

/**
 * From where rows are far. Rows of a missed cluster in the sample widen the cluster that they are labelled with: m of its n rows hide
 * within √(n/m) standard deviations. One with too few rows to have others beyond its reach then has the covariance within clusters.
 */
export function farBounds(run: Pick<Prepared, 'config' | 'd'>, state: State): Centres {
  const { mixture, sample } = state;
  const within = withinClusters(mixture.weights, mixture.covariances);
  const hidden = Math.max(MIN_PART_ROWS, 1 / tempering(run, state));
  const enough = hidden * reachOf(run.d) ** 2;
  const covariances = mixture.covariances.map((own, k) =>
    mixture.weights[k] * sample.rows < enough ? within : own,
  );
  return centresOf({ ...mixture, covariances });
}

/** The missed clusters among the far rows of a full pass; `T`: statistics of each cluster over all rows. */
export function findMissed(
  { config, d }: TrainingRun,
  state: State,
  T: Float64Array[],
  far: FarRows,
): MissedCluster[] {
  const { prior, mixture } = state;
  const within = withinClusters(mixture.weights, mixture.covariances);
  const by = { prior, alpha: config.alpha, within };
  return missedClusters(by, T, far, mostClusters(d, config.covariance) - mixture.k);
}

/**
 * The state with these clusters after its own. The clusters that they were a part of are
 * estimated from all rows without theirs.
 */
export function withMissed(
  run: TrainingRun,
  state: State,
  T: Float64Array[],
  missed: readonly MissedCluster[],
): State {
  const { prior, parts, groups } = state;
  const { k } = state.mixture;
  const left = [...T];
  for (const { label, T: own } of missed.flatMap((cluster) => cluster.parts))
    left[label] = left[label].map((value, p) => value - own[p]);
  // So few rows are far from all others, and were found as the sample had them, or are what others have left.
  const emptied = [...left.keys()].filter((c) => left[c][0] <= MIN_PART_ROWS);
  for (const c of emptied) left[c] = left[c].map(() => 0);
  const added = missed.map((cluster) => totalOf(cluster.parts));
  const fits = [...left, ...added].map((own) => pointEstimate(prior, own));
  const isChanged = (c: number) => c >= k || (left[c] !== T[c] && left[c][0] > 0);
  const rows = T.reduce((sum, [own]) => sum + own, 0);
  const choose = (name: 'means' | 'covariances', field: 'mean' | 'covariance') =>
    fits.map((fit, c) => (isChanged(c) ? fit[field] : state.mixture[name][c]));
  const mixture: Mixture = {
    ...state.mixture,
    k: fits.length,
    weights: Float64Array.from([...left, ...added], ([own]) => own / rows),
    means: choose('means', 'mean'),
    covariances: choose('covariances', 'covariance'),
  };
  const units = Array.from({ length: mixture.k }, (_, c) => ({
    from: Math.min(c, k - 1),
    ...{ share: 1, fresh: c >= k },
  }));
  const after: State = {
    ...withUnits(run, state, units),
    mixture,
    ...(groups && { groups: Int32Array.of(...groups, ...added.map((_, i) => clusterCountOf(state) + i)) }),
    // Not halved: the sample has too few of their rows.
    parts: [...parts, ...added.map((own) => [own, own.map(() => 0)])],
  };
  return withoutClusters(after, emptied);
}
