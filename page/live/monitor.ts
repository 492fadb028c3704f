import { basename, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observer } from '../../coordinator/fit/train.ts';
import type { RoundListener } from '../../coordinator/rounds/scheduler.ts';
import type { Checkpoints } from '../../run/checkpoints.ts';
import type { RunEvent } from '../../run/events.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import { isOver, type Status } from '../drawing/api.ts';
import type { Http, HttpOptions } from '../port.ts';
import type { Controls, MonitoredRun } from './api.ts';
import { createCounters } from './counters.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** What monitors a run, put together: recorder, page, metrics and controls on one port. It observes, and changes nothing but by the controls that it is given. */

export type Monitor = ReturnType<typeof createMonitor>;

export interface MonitorOptions
  extends Pick<MonitoredRun, 'config' | 'versions' | 'id' | 'layout' | 'source' | 'raw' | 'server'> {
  http: HttpOptions;
  out: RunDirectory;
  checkpoints: Checkpoints;
  /** Ends the run early, with results. Returns what happens now, for people; null if there is nothing to finish. */
  finish(): string | null;
  /** Stops the run, which can be resumed. */
  stop(): void;
}

/**
 * Monitors a run, from its first event to the last scrape: live page, metrics and controls. `history`: lines of events.jsonl from
 * earlier sessions.
 */
export function createMonitor(history: Iterable<string> = []) {
  const recorder = createRecorder(history);
  const counters = createCounters();
  // A session that goes on from a checkpoint does not compare rows again.
  counters.updates.drift = recorder.history().events.findLast((event) => event.type === 'drift') ?? null;
  const pause = createPause();
  let stopLinger = () => {};
  const scrapes = createScrapes();
  const roundListener: RoundListener = {
    results(...args) {
      counters.results(...args);
      recorder.results(...args);
    },
    roundEnded: counters.roundEnded,
  };
  return {
    event(event: RunEvent): void {
      counters.event(event);
      recorder.event(event);
    },
    roundListener,
    observer: recorder as Observer,
    held: pause.held,
    /** Opens the HTTP port. UserError if it is not available. */
    async open({ http, out, checkpoints, finish, stop, ...rest }: MonitorOptions): Promise<Http> {
      const controls = controlsOf(recorder, pause, checkpoints, {
        finish,
        stop() {
          stop();
          stopLinger();
        },
      });
      const name = basename(resolve(out.path));
      const own = { name, out: out.path, recorder, counters, controls, scraped: scrapes.add };
      return openHttp(http, { ...rest, ...own });
    },
    /** Sets the run's final status. */
    ended(status: 'done' | 'failed' | 'stopped'): void {
      recorder.setStatus(status);
      scrapes.ended();
    },
    /** Whether it lingers at all. */
    lingers: (seconds: number) => seconds > 0 || scrapes.patience() > 0,
    /**
     * Resolves after this many seconds and, if Prometheus scrapes the run, with the next scrape, so that it knows how the run ended;
     * or with `until`, or when a client requests `stop`.
     */
    async linger(seconds: number, until: Promise<unknown>): Promise<void> {
      const stopped = new Promise<void>((resolve) => {
        stopLinger = resolve;
      });
      const timer = new AbortController();
      const pause = (ms: number) => sleep(ms, undefined, { signal: timer.signal }).catch(() => {});
      const scraped = Promise.race([scrapes.last, pause(scrapes.patience())]);
      await Promise.race([Promise.all([pause(seconds * 1000), scraped]), until, stopped]);
      timer.abort();
    },
  };
}

const NOTHING_YET = 'there is nothing to label yet: wait for the first epoch, or abort the run';

function controlsOf(
  recorder: Recorder,
  pause: ReturnType<typeof createPause>,
  checkpoints: Checkpoints,
  { finish, stop }: Pick<MonitorOptions, 'finish' | 'stop'>,
): Controls {
  /** Null if the run has one of these statuses, else why the request is rejected. */
  const rejectUnless = (...statuses: Status[]) =>
    statuses.includes(recorder.status()) ? null : `the run is ${recorder.status()}`;
  const become = (status: 'running' | 'paused', act: () => void) => () => {
    const problem = rejectUnless('running', 'paused');
    if (problem) return problem;
    act();
    recorder.setStatus(status);
    return null;
  };
  return {
    pause: become('paused', pause.pause),
    resume: become('running', pause.resume),
    async checkpoint() {
      const problem = rejectUnless('running', 'paused', 'finishing');
      if (problem) return problem;
      return (await checkpoints.flush())
        ? null
        : 'the checkpoint could not be written; see the events for the reason';
    },
    finish() {
      const what = finish();
      if (what === null)
        return { problem: isOver(recorder.status()) ? `the run is ${recorder.status()}` : NOTHING_YET };
      // A run that is paused need not be resumed first.
      if (recorder.status() === 'paused') recorder.setStatus('running');
      pause.resume();
      return { what };
    },
    stop() {
      stop();
      return null;
    },
  };
}

/** The longest wait for a last scrape, ms: twice Prometheus' default interval. */
const LONGEST_SCRAPE_MS = 120_000;

/** When Prometheus has scraped the run, to expect its next time. */
function createScrapes() {
  let [latest, interval, isOver] = [0, 0, false];
  let resolve = () => {};
  /** Resolves with the first scrape after the end. */
  const last = new Promise<void>((resolves) => {
    resolve = resolves;
  });
  return {
    last,
    add() {
      const now = performance.now();
      if (latest) interval = now - latest;
      latest = now;
      if (isOver) resolve();
    },
    ended() {
      isOver = true;
    },
    /** How long to wait for the next one, ms; 0 if the run was not scraped twice. */
    patience: () => Math.min(2 * interval, LONGEST_SCRAPE_MS),
  };
}

/** Pauses training between two epochs. `held`: null unless paused; resolves when training may continue. */
function createPause() {
  let waiting: Promise<void> | null = null;
  let release = () => {};
  return {
    pause(): void {
      waiting ??= new Promise((resolve) => {
        release = resolve;
      });
    },
    resume(): void {
      waiting = null;
      release();
    },
    held: () => waiting,
  };
}

/** Opens the HTTP port of a run. UserError if it is not available. */
export async function openHttp(options: HttpOptions, run: MonitoredRun): Promise<Http> {
  const { token } = options;
  const { openPort } = await import('../port.ts');
  return openPort(options, run.recorder, async (bound, stream) => {
    const { createApp } = await import('./api.ts');
    return createApp({ run, bound, token, stream });
  });
}
