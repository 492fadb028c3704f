import { keptEvents, type TimedEvent } from '../view/events.ts';

/** Events that wait for their reader, at most; a run of the default schedule has far fewer. */
const MOST_WAITING = 100_000;

/** Events on their way from a run, which never waits, to a reader that takes its time. */
export interface EventQueue {
  push(event: TimedEvent): void;
  /** There will be no more; with an error, reading ends with it. */
  end(error?: unknown): void;
  read(): AsyncIterator<TimedEvent, undefined>;
}

/**
 * A queue that the reader empties at its own pace. Beyond `most` waiting events the least important are dropped:
 * rejected proposals, steps without a change and checkpoints first, then the oldest (`events.jsonl` has them all).
 */
export function createEventQueue(most = MOST_WAITING): EventQueue {
  let waiting: TimedEvent[] = [];
  let taken = 0;
  let ending: { error?: unknown } | null = null;
  let wake = () => {};
  let awakened = new Promise<void>(() => {});
  const changed = () => {
    wake();
    awakened = new Promise((resolve) => {
      wake = resolve;
    });
  };
  changed();
  return {
    push(event) {
      waiting.push(event);
      // Rarely, so that each event costs constant time on average.
      if (waiting.length - taken >= 2 * most) {
        waiting = keptEvents(waiting.slice(taken), most);
        taken = 0;
      }
      changed();
    },
    end(error) {
      ending ??= error === undefined ? {} : { error };
      changed();
    },
    read: () => ({
      async next() {
        while (taken === waiting.length && !ending) await awakened;
        if (taken < waiting.length) {
          const value = waiting[taken++];
          if (taken > 1000 && 2 * taken > waiting.length) {
            waiting = waiting.slice(taken);
            taken = 0;
          }
          return { value, done: false };
        }
        if (ending && 'error' in ending) throw ending.error;
        return { value: undefined, done: true };
      },
    }),
  };
}
