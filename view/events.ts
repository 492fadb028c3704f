import type { Change, EndReason } from '../model/schedule.ts';

/** How workers leave: `stalled`: it did not read what it was sent; `cut`: the list of keys has changed. */
export const DEPARTURES = ['killed', 'exited', 'silent', 'goodbye', 'stalled', 'cut'] as const;
export type Departure = (typeof DEPARTURES)[number];

/** A line of `events.jsonl`, less its time. docs/run-directory.md says what each field means. */
export type Event =
  | { type: 'start'; rows: number; dim: number; sample: number; shards: number }
  /** From here on lines are of a new session; those of later epochs before it were of work that was lost. */
  | { type: 'resume'; epoch: number; k: number; from: string | null }
  | { type: 'checkpoint'; epoch: number; bytes: number; seconds: number }
  | { type: 'checkpoint-failed'; epoch: number; reason: string }
  | {
      type: 'worker';
      worker: string;
      name: string;
      pid: number;
      host: string;
      backend: string;
      identity: string;
      gpu?: string;
      /** Why it was taken, for people. */
      why: string;
    }
  | {
      type: 'worker-gone';
      worker: string;
      pid: number;
      /** Files of earlier versions lack it. */
      how?: Departure;
      /** The same for people, with more detail. */
      reason: string;
      /** Of the round that it was at work on. */
      tasks: string[];
    }
  | { type: 'warning'; message: string }
  | {
      type: 'epoch';
      epoch: number;
      k: number;
      width: number;
      loss: number | null;
      subLoss: number | null;
      seconds: Record<string, number>;
      workers: Record<string, number>;
    }
  | {
      type: Change;
      epoch: number;
      /** The cluster to split, or both to merge. */
      clusters: number[];
      /** Points of each part, or of each of the two. */
      points: number[];
      /** Null stands for ∞: an empty cluster always merges. */
      logRatio: number | null;
      accepted: boolean;
      reason?: string;
    }
  | { type: 'step'; epoch: number; kind: Change; changed: number; k: number }
  | { type: 'end'; epoch: number; k: number; reason: EndReason }
  | {
      type: 'done';
      k: number;
      /** By all workers in the whole run: twice the rows of the data where a sample was used and no worker was lost. */
      rowsRead: number;
      /** Since the last epoch: the full pass. */
      seconds: Record<string, number>;
      workers: Record<string, number>;
    };

/** A line of events.jsonl. */
export type TimedEvent = Event & { time: string };

export type Emit = (event: Event) => void;

/** What of an event says whether it is still wanted when there are many. */
interface Told {
  type: string;
  accepted?: unknown;
  changed?: unknown;
}

/** Proposals that came to nothing, steps that changed nothing and checkpoints are most of what a long run tells. */
function isPassing({ type, accepted, changed }: Told): boolean {
  return (
    type === 'checkpoint' ||
    ((type === 'split' || type === 'merge') && !accepted) ||
    (type === 'step' && !changed)
  );
}

/** At most `most` of the events, in their order: the oldest passing ones go first, then the oldest. */
export function keptEvents<T extends Told>(events: T[], most: number): T[] {
  let excess = events.length - most;
  if (excess <= 0) return events;
  const kept = events.filter((event) => !(excess > 0 && isPassing(event) && excess--));
  return kept.slice(Math.max(0, kept.length - most));
}
