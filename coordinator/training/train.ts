import type { SavedTree } from '../../data/saved/saved-clusters.ts';
import { type Change, type EndReason, hasSettled, isJoining, nextChange } from '../../model/schedule.ts';
import type { Order, State } from '../../model/state.ts';
import { type Losses, runEpoch } from './epoch.ts';
import { flatClusterError, publishNet } from './publish.ts';
import type { Run } from './run-context.ts';
import { tempering } from './sample.ts';

/** Callbacks for what a run's events do not carry. */
export interface Observer {
  /** The moments are known, and transform and prior derived from them. */
  prepared(run: Run, sampleRows: number): void;
  epoch(state: State, losses: Losses): void;
  /** A state that does not come from an epoch: the initial one, one of a checkpoint, or after a split or merge step. */
  state(state: State): void;
  /**
   * All rows are labelled, and the clusters numbered by size. `counts`: rows of each; `order`: for each the number that it had
   * in `state` before; `tree`: that of merges above those with rows, if there is one.
   */
  labelled(counts: number[], numbered: { state: State; order: Order }, tree: SavedTree | null): void;
}

/** The training of clusters, one epoch at a time: a split or merge step that is due follows in the same call. */
export interface Training {
  /** Why it has ended; null: an epoch follows. */
  ended(state: State): EndReason | null;
  /** `state`: the initial one, or one that this returned, in this session or another. */
  step(state: State): Promise<State>;
}

/** `epoch` is called with the state after each epoch, before the split or merge step that may follow. */
export function trainingOf(run: Run, epoch: (state: State, losses: Losses) => void = () => {}): Training {
  const { config, likelihood } = run;
  /** The workers have the net. */
  let isPublished = false;

  function isSettled(state: State): boolean {
    if (isJoining(state.steps)) return state.untilStep === 0;
    const rows = tempering(run, state) * state.sample.rows;
    return config.earlyStop && hasSettled(state.steps, rows, run.schedule, config.freeze);
  }
  /** Settled training goes on where fewer clusters are wanted. */
  const joins = ({ mixture }: State) => config.clusters !== null && mixture.k > config.clusters;

  async function changed(epoch: number, change: Change, taken: Promise<State>): Promise<State> {
    const after = await taken;
    const { changed, k } = after.steps.at(-1)!;
    run.emit({ type: 'step', epoch, kind: change, changed, k });
    if (changed) publishNet(run, after.net);
    return after;
  }

  return {
    ended(state) {
      if (isSettled(state)) return joins(state) ? null : 'settled';
      return state.epoch >= config.maxEpochs ? 'max-epochs' : null;
    },
    async step(state) {
      try {
        if (!isPublished) publishNet(run, state.net);
        isPublished = true;
        if (isSettled(state))
          return await changed(state.epoch, 'merge', likelihood.join(run, state, config.clusters!));
        const { next, losses } = await runEpoch(run, { ...state, epoch: state.epoch + 1 });
        epoch(next, losses);
        if (next.untilStep > 0 || isJoining(state.steps)) return next;
        const change = nextChange(state.steps);
        return await changed(next.epoch, change, likelihood.step(run, next, change));
      } catch (error) {
        throw flatClusterError(config, error);
      }
    },
  };
}
