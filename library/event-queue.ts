import { keptEvents, type TimedEvent } from '../view/events.ts';

/** Limit on unread events; a run of the default schedule has far fewer. */
const MAX_WAITING = 100_000;

/** Buffers events between a run, which never waits, and a reader that may be slow. */
export interface EventQueue {
  push(event: TimedEvent): void;
  /**
   * Ends the queue. Reading then rejects with `error`, if there is one, after the remaining events. Later calls have no
   * effect.
   */
  end(error?: unknown): void;
  read(): AsyncIterator<TimedEvent, undefined>;
}

/**
 * An empty queue. If more than about `max` events are unread, the least important are dropped: rejected proposals, steps
 * without a change and checkpoints first, then the oldest (`events.jsonl` has them all).
 */
export function createEventQueue(max = MAX_WAITING): EventQueue {
  let waiting: TimedEvent[] = [];
  let readCount = 0;
  let ending: { error?: unknown } | null = null;
  let wake = () => {};
  let awake = new Promise<void>(() => {});
  const changed = () => {
    wake();
    awake = new Promise((resolve) => {
      wake = resolve;
    });
  };
  changed();
  return {
    push(event) {
      waiting.push(event);
      // Only at twice the limit, so that each event costs constant time on average.
      if (waiting.length - readCount >= 2 * max) {
        waiting = keptEvents(waiting.slice(readCount), max);
        readCount = 0;
      }
      changed();
    },
    end(error) {
      ending ??= error === undefined ? {} : { error };
      changed();
    },
    read: () => ({
      async next() {
        while (readCount === waiting.length && !ending) await awake;
        if (readCount < waiting.length) {
          const value = waiting[readCount++];
          if (readCount > 1000 && 2 * readCount > waiting.length) {
            waiting = waiting.slice(readCount);
            readCount = 0;
          }
          return { value, done: false };
        }
        if (ending && 'error' in ending) throw ending.error;
        return { value: undefined, done: true };
      },
    }),
  };
}
