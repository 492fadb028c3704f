import type { TimedEvent } from '../view/events.ts';
import { createEventQueue } from './event-queue.ts';
import type { RunResult } from './result.ts';

/**
 * A run under way: the promise of its result, and its events as they happen. Reading them is optional and may be slow:
 * the run never waits for a reader. Each event is read once.
 */
export interface Run extends Promise<RunResult>, AsyncIterable<TimedEvent> {
  /** Resolves when everything is closed: with the result, or where there is a `linger`, that much later. */
  readonly closed: Promise<void>;
  /** Reads the list of allowed workers in `keys` again. */
  rereadKeys(): void;
}

/** A run that was stopped by its `signal` or over HTTP. The message says where it is and how to resume it. */
export class AbortError extends Error {
  override name = 'AbortError';
  readonly code = 'ABORT_ERR';
}

export interface RunHooks {
  event(event: TimedEvent): void;
  /** The run is over, although page and metrics may stay. */
  result(result: RunResult): void;
  /** Calls `act` when the keys are to be read again; at once, where that was asked for already. */
  onRereadKeys(act: () => void): void;
}

/** Starts `work` and gives the run it is; `work` rejects, or calls `result` and resolves when all is closed. */
export function createRun(work: (hooks: RunHooks) => Promise<void>): Run {
  const events = createEventQueue();
  let reread: (() => void) | null = null;
  let rereadAsked = false;
  let closed!: Promise<void>;
  const result = new Promise<RunResult>((resolve, reject) => {
    closed = work({
      event: events.push,
      result(result) {
        events.end();
        resolve(result);
      },
      onRereadKeys(act) {
        reread = act;
        if (rereadAsked) act();
      },
    }).catch((error) => {
      events.end(error);
      reject(error);
    });
  });
  return Object.assign(result, {
    closed,
    rereadKeys() {
      if (reread) reread();
      else rereadAsked = true;
    },
    [Symbol.asyncIterator]() {
      // The reader gets the error too: the promise need not be awaited as well.
      result.catch(() => {});
      return events.read();
    },
  });
}
