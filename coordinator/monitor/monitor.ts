import { basename, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Source } from '../../data/source.ts';
import type { Layout } from '../../model/layout.ts';
import type { Status } from '../../view/api.ts';
import type { Event } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { RoundListener } from '../scheduler/router.ts';
import type { Server } from '../scheduler/server.ts';
import type { Checkpoints } from '../storage/checkpoints.ts';
import type { RunDirectory } from '../storage/run-directory.ts';
import type { Observer } from '../training/train.ts';
import { createCounters } from './counters.ts';
import type { Controls } from './http/answers.ts';
import type { Http, HttpOptions } from './http/open.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** All that shows a run while it goes, from its first event to the last scrape. */
export interface Monitor {
  event(event: Event): void;
  roundListener: RoundListener;
  observer: Observer;
  /** Not null: training is paused, and waits for it before its next epoch. */
  held(): Promise<void> | null;
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
export function createMonitor(history: Iterable<string> = []): Monitor {
  const recorder = createRecorder(history);
  const counters = createCounters();
  const pause = createPause();
  let stopLinger = () => {};
  return {
    event(event) {
      counters.event(event);
      recorder.event(event);
    },
    roundListener: {
      results(...args) {
        counters.results(...args);
        recorder.results(...args);
      },
      roundEnded: counters.roundEnded,
    },
    observer: recorder,
    held: pause.held,
    async open({ http, out, checkpoints, stop, ...about }) {
      const { openHttp } = await import('./http/open.ts');
      const controls = controlsOf(recorder, pause, checkpoints, () => {
        stop();
        stopLinger();
      });
      const name = basename(resolve(out.path));
      return openHttp(http, { ...about, name, out: out.path, recorder, counters, controls });
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

function controlsOf(recorder: Recorder, pause: Pause, checkpoints: Checkpoints, stop: () => void): Controls {
  const unless = (...statuses: Status[]) =>
    statuses.includes(recorder.status()) ? null : `the run is ${recorder.status()}`;
  return {
    pause() {
      const problem = unless('running', 'paused');
      if (problem) return problem;
      pause.pause();
      recorder.setStatus('paused');
      return null;
    },
    resume() {
      const problem = unless('running', 'paused');
      if (problem) return problem;
      pause.resume();
      recorder.setStatus('running');
      return null;
    },
    async checkpoint() {
      const problem = unless('running', 'paused', 'finishing');
      if (problem) return problem;
      return (await checkpoints.flush()) ? null : 'no checkpoint could be written; the events say why';
    },
    stop() {
      stop();
      return null;
    },
  };
}

/** Holds training between two epochs; what is under way ends first. */
interface Pause {
  pause(): void;
  resume(): void;
  /** Null where nothing holds, else resolves when training may go on. */
  held(): Promise<void> | null;
}

function createPause(): Pause {
  let waiting: Promise<void> | null = null;
  let go = () => {};
  return {
    pause() {
      waiting ??= new Promise((resolve) => {
        go = resolve;
      });
    },
    resume() {
      waiting = null;
      go();
    },
    held: () => waiting,
  };
}
