import { closestProposal } from '../../model/gaussian/evidence-for-k.ts';
import type { Order } from '../../model/order.ts';
import {
  type Change,
  type EndReason,
  hasSettled,
  isLast,
  nextChange,
  type Proposal,
} from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import type { Emit } from '../../run/events.ts';
import type { SavedTree } from '../../run/tree.ts';
import type { Losses } from './epoch.ts';
import { isJoinedLast } from './gaussian/background.ts';
import { publishNet } from './publish.ts';
import { type Before, type Prepared, runBy, type TrainingRun } from './run-context.ts';
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

/** Why training has ended; null: it goes on. Where it has settled on more clusters than are wanted, a merge step for `--clusters` follows. */
export function trainingEnd(run: Prepared, state: State): EndReason | null {
  const { clusters, maxEpochs } = run.config;
  const isDone = clusters === null || state.mixture.k <= clusters || isJoinedLast(run, state);
  if (isSettled(run, state)) return isDone ? 'settled' : null;
  return state.epoch >= maxEpochs ? 'max-epochs' : null;
}

/** What training that has not ended does next, by whoever computes it: an epoch and the step that is due after it, or, once it has settled, a step for `--clusters`. */
export async function turn(
  run: Prepared,
  state: State,
  compute: {
    epoch(state: State): Promise<State>;
    step(state: State, kind: Change | 'join'): Promise<State>;
  },
): Promise<{ state: State; isStep: boolean }> {
  if (isSettled(run, state)) return { state: await compute.step(state, 'join'), isStep: true };
  const trained = await compute.epoch(state);
  if (trained.untilStep > 0 || isLast(trained.steps)) return { state: trained, isStep: false };
  return { state: await compute.step(trained, nextChange(trained.steps)), isStep: true };
}

/** How clusters change at once: in a split or merge step, in one for `--clusters`, or in the first step of an update. */
type StepKind = Change | 'join' | Before;

/** The state after a step, whose net the workers have. */
export async function takeStep(run: TrainingRun, state: State, kind: StepKind): Promise<State> {
  const { likelihood, config } = run;
  const proposals: Proposal[] = [];
  const emit: Emit = (event) => {
    if (event.type === 'split' || event.type === 'merge') {
      const { type, epoch, ...proposal } = event;
      proposals.push(proposal);
    }
    run.emit(event);
  };
  const own = { ...runBy(run, state.overlaps), emit };
  const step = () => {
    if (kind === 'join') return likelihood.join(own, state, config.clusters!);
    return typeof kind === 'string' ? likelihood.step(own, state, kind) : likelihood.goOn(own, state, kind);
  };
  const after = await step();
  const last = after.steps.at(-1)!;
  run.emit({ type: 'step', epoch: after.epoch, kind: last.kind, changed: last.changed, k: last.k });
  if (last.changed) publishNet(run, after.net);
  const closest = closestProposal(proposals);
  return closest ? { ...after, steps: after.steps.with(-1, { ...last, closest }) } : after;
}
