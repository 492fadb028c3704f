import { basename, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Source } from '../../data/source.ts';
import type { Layout } from '../../model/layout.ts';
import type { Event } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { RunInput } from '../run.ts';
import type { Watcher } from '../scheduler/membership.ts';
import type { Server } from '../scheduler/server.ts';
import type { Checkpoints } from '../storage/checkpoints.ts';
import type { RunDirectory } from '../storage/run-directory.ts';
import { createTallies } from './counters.ts';
import type { Http, HttpOptions } from './http/open.ts';
import type { Controls } from './http/watched.ts';
import { createPause } from './pause.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** All that looks on while a run goes, from its first event to the last scrape. */
export interface Watching {
  event(event: Event): void;
  watcher: Watcher;
  /** For `runAll`. */
  input: Pick<RunInput, 'observer' | 'held'>;
  /** Opens the port. UserError where it cannot be had. */
  open(about: About): Promise<Http>;
  /** The run has ended so. */
  ended(status: 'done' | 'failed' | 'stopped'): void;
  /** Resolves after this many seconds, or when `stop` is asked for. */
  linger(seconds: number, until: Promise<unknown>): Promise<void>;
}

export interface About {
  http: HttpOptions;
  out: RunDirectory;
  config: RunConfig;
  versions: Record<string, string>;
  layout: Layout;
  source: Source;
  server: Server;
  checkpoints: Checkpoints;
  /** Ends the run as Ctrl-C does. */
  stop(): void;
}

/** `history`: lines of events.jsonl from before. */
export function createWatching(history: Iterable<string> = []): Watching {
  const recorder = createRecorder(history);
  const tallies = createTallies();
  const pause = createPause();
  let stopLinger = () => {};
  return {
    event(event) {
      tallies.event(event);
      recorder.event(event);
    },
    watcher: {
      results(...args) {
        tallies.results(...args);
        recorder.results(...args);
      },
      roundEnded: tallies.roundEnded,
    },
    input: { observer: recorder, held: pause.held },
    async open({ http, out, checkpoints, stop, ...about }) {
      const { openHttp } = await import('./http/open.ts');
      const controls = controlsOf(recorder, pause, checkpoints, () => {
        stop();
        stopLinger();
      });
      const name = basename(resolve(out.path));
      return openHttp(http, { ...about, name, out: out.path, recorder, tallies, controls });
    },
    ended: recorder.setStatus,
    async linger(seconds, until) {
      const stopped = new Promise<void>((resolve) => {
        stopLinger = resolve;
      });
      const over = new AbortController();
      const time = sleep(seconds * 1000, undefined, { signal: over.signal }).catch(() => {});
      await Promise.race([time, until, stopped]);
      over.abort();
    },
  };
}

function controlsOf(
  recorder: Recorder,
  pause: ReturnType<typeof createPause>,
  checkpoints: Checkpoints,
  stop: () => void,
): Controls {
  const when = (...statuses: string[]) =>
    statuses.includes(recorder.status()) ? null : `the run is ${recorder.status()}`;
  return {
    pause() {
      const problem = when('running', 'paused');
      if (problem) return problem;
      pause.pause();
      recorder.setStatus('paused');
      return null;
    },
    resume() {
      const problem = when('running', 'paused');
      if (problem) return problem;
      pause.resume();
      recorder.setStatus('running');
      return null;
    },
    async checkpoint() {
      const problem = when('running', 'paused', 'finishing');
      if (problem) return problem;
      return (await checkpoints.flush()) ? null : 'no checkpoint could be written; the events say why';
    },
    stop() {
      stop();
      return null;
    },
  };
}
