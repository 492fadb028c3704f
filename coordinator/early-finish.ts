/** What a run is at, as far as that matters to somebody who wants it to end. */
export type Phase = 'preparing' | 'encoder' | 'training' | 'labelling' | 'replicates' | 'over';

/** What finishing means in each phase, for people; null: there is nothing to label yet, or nothing left to end. */
const MEANS: Record<Phase, string | null> = {
  preparing: null,
  encoder: 'the encoder ends after this pass, then its codes are clustered',
  training: 'training ends after this epoch, then all rows are labelled',
  labelling: 'training has ended: labels and report come next',
  replicates: 'the replicates end; the results are complete without them',
  over: null,
};

/** The wish of a user that a run ends now, with labels and report of the clusters as they are. */
export interface EarlyFinish {
  /** Asks the current phase to end. Returns what happens now, for people; null if there is nothing to finish. */
  ask(): string | null;
  /** The phase that begins. Nobody has asked it to end yet. */
  enter(phase: Phase): void;
  /** Aborts when the current phase is asked to end. */
  asked(): AbortSignal;
}

export function createEarlyFinish(): EarlyFinish {
  let phase: Phase = 'preparing';
  let asking = new AbortController();
  return {
    ask() {
      if (MEANS[phase] !== null) asking.abort();
      return MEANS[phase];
    },
    enter(next) {
      phase = next;
      asking = new AbortController();
    },
    asked: () => asking.signal,
  };
}
