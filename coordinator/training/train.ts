import type { SavedTree } from '../../data/saved/saved-tree.ts';
import type { Order } from '../../model/numbering.ts';
import { type Change, type EndReason, hasSettled, isJoining, nextChange } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { type Losses, runEpoch } from './epoch.ts';
import { flatClusterError, publishNet, publishTransform } from './publish.ts';
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

/** One advance of training. */
export type TrainingProgress =
  /** After an epoch; not `complete` if a split or merge step follows before the next one. */
  | { type: 'epoch'; complete: boolean; state: State; losses: Losses }
  /** After that step. */
  | { type: 'step'; state: State };

/**
 * Runs epochs, and the split and merge steps between them, until the run has settled or reached `--max-epochs`. `start`
 * is the initial state, or one after a step or a complete epoch. Returns the last state and why training ended.
 */
export async function* train(
  run: Run,
  start: State,
): AsyncGenerator<TrainingProgress, { state: State; reason: EndReason }> {
  const { config, likelihood } = run;
  let state = start;
  const rethrow = (error: unknown): never => {
    throw flatClusterError(config, error);
  };
  if (state.sample.below !== run.sample.below) publishTransform(run, state.sample.below);
  publishNet(run, state.net);
  for (;;) {
    const rows = tempering(run, state) * state.sample.rows;
    const settled = isJoining(state.steps)
      ? state.untilStep === 0
      : config.earlyStop && hasSettled(state.steps, rows, run.schedule, config.freeze);
    if (settled) {
      const { clusters } = config;
      if (clusters === null || state.mixture.k <= clusters) return { state, reason: 'settled' };
      state = yield* step('merge', likelihood.join(run, state, clusters));
    }
    if (state.epoch >= config.maxEpochs) return { state, reason: 'max-epochs' };
    const epoch = state.epoch + 1;
    const { next, losses } = await runEpoch(run, { ...state, epoch }).catch(rethrow);
    const change = next.untilStep === 0 && !isJoining(state.steps) ? nextChange(state.steps) : null;
    yield { type: 'epoch', complete: !change, state: next, losses };
    state = next;
    if (change) state = yield* step(change, likelihood.step(run, state, change));
  }

  async function* step(change: Change, taken: Promise<State>): AsyncGenerator<TrainingProgress, State> {
    const after = await taken.catch(rethrow);
    const { changed, k } = after.steps.at(-1)!;
    run.emit({ type: 'step', epoch: state.epoch, kind: change, changed, k });
    if (changed) publishNet(run, after.net);
    yield { type: 'step', state: after };
    return after;
  }
}
