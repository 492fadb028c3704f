import type { EndReason } from '../../model/schedule.ts';

/** What finishing early means in each stage, for people; null: there is nothing to label yet, or nothing left to end. */
const FINISHING = {
  read: null,
  encode: 'the encoder ends after this pass, then its latent vectors are clustered',
  cluster: 'training ends after this epoch, then all rows are labelled',
  label: 'training has ended: labels and report come next',
  describe: 'training has ended: labels and report come next',
  replicate: 'the replicates end; the results are complete without them',
  over: null,
} satisfies Record<string, string | null>;

export type StageName = keyof typeof FINISHING;
/** Why a stage has ended. */
export type StageEnd = EndReason | 'done';

/**
 * A stage of a run: it takes what the run has found so far, step by step, to what it has found at its end. A state is never
 * changed, only replaced. Everything about a run's course that is not a step is the driver's: `runStages`.
 */
export interface Stage<State, Saved> {
  readonly name: StageName;
  /** Why no step follows; null: one does. `isAsked`: the user wants this stage to end. */
  ended(state: State, isAsked: boolean): StageEnd | null;
  /** Before the first step of this session. Returns the state itself if the stage began in an earlier one. */
  begin?(state: State): Promise<State>;
  /** One step, such as an epoch. */
  step(state: State): Promise<State>;
  /** What a checkpoint keeps. Without it, the stage is done again by a run that resumes. */
  checkpoint?(state: State): Saved;
  /** Is the state after this step saved at once, rather than when it is time? */
  isMilestone?(before: State, after: State): boolean;
  /** After the last step. */
  end?(state: State, reason: StageEnd): State;
}

/** What a stage's driver needs. */
export interface Driver<Saved> {
  /** Saves the state if `now`, or if it is time. */
  offer(checkpoint: Saved, now: boolean): void;
  /** If the run is paused, a promise that resolves when the next step may begin; else null. */
  held?(): Promise<void> | null;
  earlyFinish: EarlyFinish;
  /** The first stage that goes on from a checkpoint ends at once. */
  finishesAtOnce?: boolean;
}

/**
 * Runs the stages in turn, each from its first step, or from the one that follows the checkpoint, to its end. A stage that has ended is
 * passed over.
 */
export async function runStages<State, Saved>(
  stages: readonly Stage<State, Saved>[],
  start: State,
  { offer, held, earlyFinish, finishesAtOnce = false }: Driver<Saved>,
): Promise<State> {
  let state = start;
  let isFirst = true;
  for (const stage of stages) {
    if (stage.ended(state, false)) continue;
    const save = (now: boolean) => stage.checkpoint && offer(stage.checkpoint(state), now);
    const found = state;
    if (stage.begin) state = await stage.begin(state);
    earlyFinish.enter(stage.name);
    const asked = earlyFinish.asked();
    if (state !== found) save(true);
    else if (stage.checkpoint && isFirst && finishesAtOnce) earlyFinish.ask();
    if (stage.checkpoint) isFirst = false;
    for (;;) {
      const pause = stage.checkpoint && held?.();
      if (pause) await Promise.race([pause, aborted(asked)]);
      const reason = stage.ended(state, asked.aborted);
      if (reason) {
        state = stage.end?.(state, reason) ?? state;
        save(true);
        break;
      }
      const before = state;
      state = await stage.step(state);
      save(stage.isMilestone?.(before, state) ?? false);
    }
  }
  return state;
}

/** Resolves when the signal aborts. */
const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The wish of a user that a run ends now, with labels and report of the clusters as they are. */
export interface EarlyFinish {
  /** Asks the current stage to end. Returns what happens now, for people; null if there is nothing to finish. */
  ask(): string | null;
  /** The stage that begins. Nobody has asked it to end yet. */
  enter(stage: StageName): void;
  /** Aborts when the current stage is asked to end. */
  asked(): AbortSignal;
}

export function createEarlyFinish(): EarlyFinish {
  let stage: StageName = 'read';
  let asking = new AbortController();
  return {
    ask() {
      if (FINISHING[stage] !== null) asking.abort();
      return FINISHING[stage];
    },
    enter(next) {
      stage = next;
      asking = new AbortController();
    },
    asked: () => asking.signal,
  };
}
