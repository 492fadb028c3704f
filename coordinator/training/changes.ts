import { type OutputUnit, resizeClusteringNet, resizeSubNets } from '../../model/nets/surgery.ts';
import { type Change, type Step, withStep } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { Run } from './run-context.ts';

/** What split and merge steps of all likelihoods have in common. */

/** What was proposed, and what became of it. */
interface Proposed {
  clusters: number[];
  /** Rows of each part. */
  points: number[];
  /** log H. */
  logRatio: number;
  accepted: boolean;
  /** Why it was decided so, if not by log H. */
  reason?: string;
}

export function emitProposal(
  run: Run,
  type: Change,
  { epoch }: Pick<State, 'epoch'>,
  { clusters, points, logRatio, accepted, reason }: Proposed,
): void {
  const finite = Number.isFinite(logRatio) ? logRatio : null;
  run.emit({ type, epoch, clusters, points, logRatio: finite, accepted, ...(reason && { reason }) });
}

/** The state after a step, as far as the schedule is concerned. */
export const withChange = ({ schedule }: Run, state: State, step: Step): State => ({
  ...state,
  untilStep: schedule.every,
  steps: withStep(state.steps, step),
});

/** The state with nets that have these output units, as fast as they learn after a change. */
export const withUnits = ({ schedule, seed }: Run, state: State, units: OutputUnit[]): State => ({
  ...state,
  net: resizeClusteringNet(state.net, units),
  subs: resizeSubNets(state.subs, units, seed, state.epoch),
  patience: schedule.patience,
  lossSinceChange: null,
});
