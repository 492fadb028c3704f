import { changeAfter, type EndReason, hasSettled } from '../../model/schedule.ts';
import type { State } from '../../model/state.ts';
import { type Losses, runEpoch } from './epoch.ts';
import { mergeStep } from './merge.ts';
import { publishEStep, publishNet } from './publish.ts';
import type { Run } from './run-context.ts';
import { splitStep } from './split.ts';

/** Hears of a run what its events do not say. */
export interface Observer {
  /** The data are known, and what follows from them. */
  prepared(run: Run, sampleRows: number): void;
  epoch(state: State, losses: Losses): void;
  /** A state that no epoch led to. */
  state(state: State): void;
  /** All rows have their labels, so many of each cluster. */
  labelled(counts: number[]): void;
}

/** What training has come to. */
export type Advance =
  /** An epoch is over; `whole`: no split or merge step is still to come at its end. */
  | { type: 'epoch'; whole: boolean; state: State; losses: Losses }
  /** So is the split or merge step at its end. */
  | { type: 'step'; state: State };

/**
 * Epochs, and the steps between them, until the run has settled or `--max-epochs`; from any state on, the initial one
 * or one that a step or a whole epoch has led to. Returns the last state and why it stopped.
 */
export async function* train(
  run: Run,
  start: State,
  smallestShard: number,
): AsyncGenerator<Advance, { state: State; reason: EndReason }> {
  const { config, schedule } = run;
  let state = start;
  publishNet(run, state.net);
  let form = publishEStep(run, state.mixture);
  for (;;) {
    if (config.earlyStop && hasSettled(state.steps)) return { state, reason: 'settled' };
    if (state.epoch >= config.maxEpochs) return { state, reason: 'max-epochs' };
    const before = state.mixture;
    const epoch = state.epoch + 1;
    const change = changeAfter(schedule, epoch);
    const { next, losses } = await runEpoch(run, { ...state, epoch }, form, smallestShard);
    yield { type: 'epoch', whole: !change, state: next, losses };
    state = next;
    if (change) {
      state = await (change === 'split' ? splitStep : mergeStep)(run, state);
      const { changed, k } = state.steps.at(-1)!;
      run.emit({ type: 'step', epoch, kind: change, changed, k });
      if (changed) publishNet(run, state.net);
      yield { type: 'step', state };
    }
    if (state.mixture !== before) form = publishEStep(run, state.mixture);
  }
}
