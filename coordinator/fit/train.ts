import { closestProposal } from '../../model/gaussian/evidence-for-k.ts';
import { type OutputUnit, resizeClusteringNet, resizeSubNets } from '../../model/nets/net.ts';
import type { Order } from '../../model/order.ts';
import {
  type Change,
  type EndReason,
  hasSettled,
  isLast,
  nextChange,
  type Proposal,
  type Step,
  withStep,
} from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { Emit } from '../../run/events.ts';
import type { SavedTree } from '../../run/tree.ts';
import { createRounds } from '../../tasks/cells/ask.ts';
import { shardSizes } from '../rounds/sums.ts';
import { type Losses, runEpoch } from './epoch.ts';
import { flatClusterError, publishNet } from './publish.ts';
import type { Before, Prepared, TrainingRun } from './run-context.ts';
import { tempering } from './sample.ts';

/** Callbacks for what a run's events do not carry. */
export interface Observer {
  /** The moments are known, and transform and prior derived from them. */
  prepared(run: Prepared, sampleRows: number): void;
  epoch(state: State, losses: Losses): void;
  /** A state that does not come from an epoch: the initial one, one of a checkpoint, or after a split or merge step. */
  state(state: State): void;
  /**
   * All rows are labelled, and the clusters numbered by size. `counts`: rows of each; `order`: for each the number that it had
   * in `state` before; `tree`: that of merges above those with rows, if there is one; `ids`: labels,
   * where these are not numbers of clusters.
   */
  labelled(
    counts: number[],
    numbered: { state: State; order: Order; ids?: readonly number[] },
    tree: SavedTree | null,
  ): void;
}

/** Has training found all that it will? */
function isSettled({ config, schedule, d }: Prepared, state: State): boolean {
  if (isLast(state.steps)) return state.untilStep === 0;
  const rows = tempering({ config, d }, state) * state.sample.rows;
  return config.earlyStop && hasSettled(state.steps, rows, schedule, config.freeze);
}

/** Is there a merge step to follow for `--clusters`, once training has settled? */
const isToJoin = ({ config: { clusters } }: Prepared, { mixture }: State) =>
  clusters !== null && mixture.k > clusters;

/** The run, in which rows go to clusters by the mixture if `byMixture`. */
export function runBy(run: TrainingRun, byMixture: boolean): TrainingRun {
  if (run.byMixture || !byMixture) return run;
  const { dispatcher, layout, d, config } = run;
  return {
    ...run,
    byMixture: true,
    rounds: createRounds(dispatcher, shardSizes(layout), d, config.covariance, true),
  };
}

/** Why training has ended; null: an epoch follows. Settled training goes on where fewer clusters are wanted. */
export function trainingEnd(run: Prepared, state: State): EndReason | null {
  if (isSettled(run, state)) return isToJoin(run, state) ? null : 'settled';
  return state.epoch >= run.config.maxEpochs ? 'max-epochs' : null;
}

/** The training of clusters: epochs, and the split or merge step that may follow each. */
export interface Training {
  /** The first step of an update, as of LikelihoodModel. */
  goOn(state: State, before: Before): Promise<State>;
  /** `state`: the initial one, or one after an epoch and its step. Null: training has settled, and only a merge step for `--clusters` follows. */
  epoch(state: State): Promise<{ state: State; losses: Losses } | null>;
  /** The split or merge step that is due after this epoch, or, without one, for `--clusters`; null if none is. */
  change(state: State, isAfterEpoch: boolean): Promise<State | null>;
}

export function trainingOf(run: TrainingRun): Training {
  const { config, likelihood } = run;
  /** The workers have the net. */
  let isPublished = false;

  async function taken(step: (emit: Emit) => Promise<State>): Promise<State> {
    const proposals: Proposal[] = [];
    const emit: Emit = (event) => {
      if (event.type === 'split' || event.type === 'merge') {
        const { type, epoch, ...proposal } = event;
        proposals.push(proposal);
      }
      run.emit(event);
    };
    const after = await step(emit);
    const last = after.steps.at(-1)!;
    const { kind, changed, k } = last;
    run.emit({ type: 'step', epoch: after.epoch, kind, changed, k });
    if (changed) publishNet(run, after.net);
    const closest = closestProposal(proposals);
    return closest ? { ...after, steps: after.steps.with(-1, { ...last, closest }) } : after;
  }
  /** Where clusters overlap, rows go to them by the mixture. */
  const runFor = ({ overlaps }: State) => runBy(run, overlaps);
  const named = (error: unknown) => {
    throw flatClusterError(config, error);
  };

  return {
    async goOn(state, before) {
      publishNet(run, state.net);
      isPublished = true;
      const own = runFor(state);
      return taken((emit) => likelihood.goOn({ ...own, emit }, state, before)).catch(named);
    },
    async epoch(state) {
      if (!isPublished) publishNet(run, state.net);
      isPublished = true;
      if (isSettled(run, state)) return null;
      return runEpoch(runFor(state), { ...state, epoch: state.epoch + 1 }).catch(named);
    },
    async change(state, isAfterEpoch) {
      const own = runFor(state);
      const join = (emit: Emit) => likelihood.join({ ...own, emit }, state, config.clusters!);
      if (!isAfterEpoch) return taken(join).catch(named);
      if (state.untilStep > 0 || isLast(state.steps)) return null;
      const step = (emit: Emit) => likelihood.step({ ...own, emit }, state, nextChange(state.steps));
      return taken(step).catch(named);
    },
  };
}

/** What split and merge steps of all likelihoods have in common. */

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
