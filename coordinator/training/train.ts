import type { SavedTree } from '../../data/saved/saved-tree.ts';
import type { EStepForm } from '../../model/estep.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { Order } from '../../model/numbering.ts';
import { type Change, type EndReason, hasSettled, isJoining, nextChange } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { type Losses, runEpoch } from './epoch.ts';
import { graphMergeStep } from './graph/merge-step.ts';
import { graphSplitStep } from './graph/split-step.ts';
import { joinStep } from './join.ts';
import { mergeStep } from './merge.ts';
import { flatClusterError, publishEStep, publishNet } from './publish.ts';
import type { Run } from './run-context.ts';
import { tempering, withLargeSample } from './sample.ts';
import { splitStep } from './splits/split.ts';

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
  const { config } = run;
  /** The mixture that the clustering net learns from, as workers know it, and its form. */
  let published: Mixture | null = null;
  let form: EStepForm = 'product';

  function isSettled(state: State): boolean {
    if (isJoining(state.steps)) return state.untilStep === 0;
    const rows = tempering(run, state) * state.sample.rows;
    return config.earlyStop && hasSettled(state.steps, rows, run.schedule, config.freeze);
  }
  /** Settled training goes on where fewer clusters are wanted. */
  const joins = ({ mixture }: State) => config.clusters !== null && mixture.k > config.clusters;

  async function changed(before: State, change: Change, take: TakeStep): Promise<State> {
    let after = await take(run, before);
    if (!run.graphs) after = await withLargeSample(run, after);
    const { changed, k } = after.steps.at(-1)!;
    run.emit({ type: 'step', epoch: before.epoch, kind: change, changed, k });
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
        if (!published) publishNet(run, state.net);
        if (isSettled(state) && joins(state))
          return await changed(state, 'merge', (run, state) => joinStep(run, state, config.clusters!));
        if (state.mixture !== published) {
          form = await publishTarget(run, state);
          published = state.mixture;
        }
        const { next, losses } = await runEpoch(run, { ...state, epoch: state.epoch + 1 }, form);
        epoch(next, losses);
        if (next.untilStep > 0 || isJoining(state.steps)) return next;
        const change = nextChange(state.steps);
        return await changed(next, change, stepOf(run, change));
      } catch (error) {
        throw flatClusterError(config, error);
      }
    },
  };
}

/** What the clustering net learns from; with the graph likelihood, the epoch itself finds it. */
const publishTarget = async (run: Run, { mixture }: State): Promise<EStepForm> =>
  run.graphs ? 'product' : publishEStep(run, mixture);

type TakeStep = (run: Run, state: State) => Promise<State>;

function stepOf({ graphs }: Run, change: Change): TakeStep {
  if (graphs) return change === 'split' ? graphSplitStep : graphMergeStep;
  return change === 'split' ? splitStep : mergeStep;
}
