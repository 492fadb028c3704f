import { type OutputUnit, resizeClusteringNet, resizeSubNets } from '../../model/nets/net.ts';
import { type Change, type Proposal, type Step, withStep } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { TrainingRun } from './run-context.ts';

/** What split and merge steps of all likelihoods have in common. */

/** The event of a proposal. */
export function emitProposal(
  run: TrainingRun,
  type: Change,
  { epoch }: Pick<State, 'epoch'>,
  { clusters, points, logRatio, needed, accepted, reason }: Proposal & { logRatio: number },
): void {
  const finite = Number.isFinite(logRatio) ? logRatio : null;
  const about = { ...(needed && { needed }), ...(reason && { reason }) };
  run.emit({ type, epoch, clusters, points, logRatio: finite, accepted, ...about });
}

/** The state after a step, as far as the schedule is concerned. */
export const withChange = ({ schedule }: TrainingRun, state: State, step: Step): State => ({
  ...state,
  untilStep: schedule.every,
  steps: withStep(state.steps, step),
});

/** The state with nets that have these output units, as fast as they learn after a change. */
export const withUnits = ({ schedule, seed }: TrainingRun, state: State, units: OutputUnit[]): State => ({
  ...state,
  net: resizeClusteringNet(state.net, units),
  subs: resizeSubNets(state.subs, units, seed, state.epoch),
  patience: schedule.patience,
  lossSinceChange: null,
});
