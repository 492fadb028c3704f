import type { TimedEvent } from '../run/events.ts';
import { keptEvents } from '../run/history.ts';
import type { RunResult } from './result.ts';

/**
 * A run in progress: a promise of its result that is also an async iterable of its events. Reading events is optional; the
 * run never waits for a reader. Each event is delivered once.
 */
export interface Run extends Promise<RunResult>, AsyncIterable<TimedEvent> {
  /**
   * Resolves when the run has closed everything: at the same time as the result or the error, or with `linger` that many seconds
   * later; if Prometheus scrapes the run, with its next scrape.
   */
  readonly closed: Promise<void>;
  /**
   * Ends the run early, with results: training ends after the current epoch, then all rows are labelled and the report is drawn. An
   * encoder ends after its current pass, then its latent vectors are clustered; replicates end at once. Returns what happens now, for
   * people; null if there is nothing to label yet, or the run is over.
   */
  finish(): string | null;
  /** Reads the list of allowed workers, `allowed` in the folder `keys`, again. */
  rereadKeys(): void;
}

/** What the work of a run reports. */
export interface RunHooks {
  event(event: TimedEvent): void;
  /** The run has its result, or has failed. Page and metrics may linger. */
  result(result: RunResult): void;
  failed(error: unknown): void;
  /** Calls `ask` when the run is to end early, with results. */
  onFinish(ask: () => string | null): void;
  /** Calls `reload` whenever the keys are to be read again; at once if that was requested before. */
  onRereadKeys(reload: () => void): void;
}

/** Starts `work` and returns its run. `work` must call `hooks.result`, then resolve when everything is closed; or reject. */
export function createRun(work: (hooks: RunHooks) => Promise<void>): Run {
  const events = createEventQueue();
  let finish: () => string | null = () => null;
  let reloadKeys: (() => void) | null = null;
  let reloadRequested = false;
  let closed!: Promise<void>;
  const result = new Promise<RunResult>((resolve, reject) => {
    const failed = (error: unknown) => {
      events.end(error as Error);
      reject(error);
    };
    closed = work({
      failed,
      event: events.push,
      result(result) {
        events.end();
        resolve(result);
      },
      onFinish(ask) {
        finish = ask;
      },
      onRereadKeys(reload) {
        reloadKeys = reload;
        if (reloadRequested) reload();
      },
    }).catch(failed);
  });
  return Object.assign(result, {
    closed,
    finish: () => finish(),
    rereadKeys() {
      if (reloadKeys) reloadKeys();
      else reloadRequested = true;
    },
    [Symbol.asyncIterator]() {
      // The reader gets the error, so an unhandled rejection of the promise is no problem.
      result.catch(() => {});
      return events.read();
    },
  });
}

/** Limit on unread events; a run of the default schedule has far fewer. */
const MAX_WAITING = 100_000;
/** Events that have been read are dropped in pieces of this many or more. */
const MOST_READ = 1000;

/**
 * Buffers events between a run, which never waits, and a reader that may be slow. If more than about `max` are unread, the least
 * important are dropped: rejected proposals, steps without a change and checkpoints first, then the oldest (`events.jsonl` has them all).
 */
export function createEventQueue(max = MAX_WAITING) {
  let waiting: TimedEvent[] = [];
  /** How many of them have been read. */
  let at = 0;
  let ending: { error?: unknown } | null = null;
  let wake = () => {};
  let awake: Promise<void>;
  const changed = () => {
    wake();
    awake = new Promise((resolve) => {
      wake = resolve;
    });
  };
  changed();
  return {
    push(event: TimedEvent) {
      waiting.push(event);
      // Only at twice the limit, so that each event costs constant time on average.
      if (waiting.length - at >= 2 * max) [waiting, at] = [keptEvents(waiting.slice(at), max), 0];
      changed();
    },
    /** Reading then rejects with `error`, if there is one, after the remaining events. Later calls have no effect. */
    end(error?: unknown) {
      ending ??= error === undefined ? {} : { error };
      changed();
    },
    async *read(): AsyncGenerator<TimedEvent, undefined> {
      while (at < waiting.length || !ending) {
        if (at === waiting.length) await awake;
        else {
          // In large pieces: to shift a long array takes long.
          if (at >= MOST_READ && 2 * at > waiting.length) [waiting, at] = [waiting.slice(at), 0];
          yield waiting[at++];
        }
      }
      if ('error' in ending) throw ending.error;
    },
  };
}
