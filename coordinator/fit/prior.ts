import { type Niw, priorOfClusters } from '../../model/gaussian/niw.ts';
import { nextChange } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { TrainingRun } from './run-context.ts';
import { tempering } from './sample.ts';

/** The prior of a mixture as it is learned from the clusters in training. */

/** The prior learned from clusters, given by their statistics. */
export const relearnedPrior = (
  run: TrainingRun,
  state: State,
  clusters: Float64Array[],
  among = state.prior.alike,
): Niw =>
  priorOfClusters(state.prior, run.config.priorScale, clusters, run.covariance, tempering(run, state), among);

/**
 * Ψ is learned in the epochs before a split step only, so that a split and the merges that follow it are judged under the same
 * prior.
 */
export function learnsPrior({ config }: TrainingRun, { steps }: State): boolean {
  return config.priorScaleChoice === 'learned' && nextChange(steps) === 'split';
}
