import type { AllowList } from '../proto/keys.ts';
import type { TimedEvent } from '../view/events.ts';
import type { Summary } from '../view/summary.ts';
import type { EarlyFinish } from './early-finish.ts';
import type { RunLocation } from './inputs.ts';
import type { HttpOptions } from './monitor/port.ts';
import type { Server } from './scheduler/server.ts';

/** What a session needs besides the run's config; none of it changes the result. */
export interface SessionOptions extends RunLocation {
  /** The address that workers connect to. */
  bind: string;
  /** The coordinator's keys; without them connections are not encrypted and every worker may join. */
  keys?: CoordinatorKeys;
  /** Accept workers of any numeric identity. */
  mixed: boolean;
  /** Let workers read the data file themselves if they can. */
  sharedFiles: boolean;
  /** The workers read the very file of the coordinator: this process starts them on this machine. */
  sameFiles?: boolean;
  /** Seconds of silence after which a worker's shards are reassigned. */
  heartbeatTimeout: number;
  /** Maximum number of seconds between two checkpoints. */
  checkpointEvery: number;
  /** Where to serve the live page and metrics; null: nowhere. */
  http: HttpOptions | null;
  /** Seconds for which page and metrics stay available after the run. */
  linger: number;
  /** Draw a report after the run. */
  report: boolean;
  /** Starts the workers. Called when the coordinator is listening. */
  start: (server: Server) => StartedWorkers;
  listener: SessionListener;
  /** Ends the run early, with results. */
  earlyFinish: EarlyFinish;
  /** Interrupts the session: what has been computed is saved. */
  signal: AbortSignal;
}

export interface CoordinatorKeys {
  secret: string;
  allowed: AllowList;
  reload?: KeyReload;
}

/** Reloads the list of allowed keys during a run. */
export interface KeyReload {
  /** Reads the current list. UserError if it is invalid. */
  read(): AllowList;
  /** Calls `reload` at each request to reload the list. */
  onRequest(reload: () => void): void;
}

/** The workers of a session. */
export interface StartedWorkers {
  /** Resolves when the first round may begin. */
  ready: Promise<void>;
  /** Rejects if the workers cannot go on. */
  failed?: Promise<never>;
  stop(): Promise<void>;
}

/** Receives what happens in a session, as it happens. */
export interface SessionListener {
  event(event: TimedEvent): void;
  /** A message for people that is not an event. */
  log(line: string): void;
  /** How far reading is: a text that the next one replaces, many a second. */
  status?(text: string): void;
  /** The result, before page and metrics linger. `report`: the path of report.html; null if there is none. */
  result(summary: Summary, report: string | null): void;
  /** The run is over, and its page and metrics linger; `error`: why it has failed. */
  lingers(error?: unknown): void;
}
