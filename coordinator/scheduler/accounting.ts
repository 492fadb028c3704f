import type { FromWorker } from '../../proto/messages.ts';
import { TASK_NAMES } from '../../proto/tasks.ts';

/** What the scheduler counts, from its start. */
export interface Counts {
  /** Units sent to another worker because theirs had left. */
  unitsReassigned: number;
  /** Units of stragglers that were also sent to idle workers. */
  unitsRaced: number;
  resultsLate: number;
  resultsNotAskedFor: number;
  resultsWrongShape: number;
  resultsOfAnotherTerm: number;
  workersSuspected: number;
  hellosRefused: number;
  /** Dropped because they exceeded the rate at which workers may join. */
  hellosIgnored: number;
  messagesMalformed: number;
  /** Dropped unread because their sender exceeded its rate limit. */
  messagesIgnored: number;
  fetchesRefused: number;
}

export const noCounts = (): Counts => ({
  unitsReassigned: 0,
  unitsRaced: 0,
  resultsLate: 0,
  resultsNotAskedFor: 0,
  resultsWrongShape: 0,
  resultsOfAnotherTerm: 0,
  workersSuspected: 0,
  hellosRefused: 0,
  hellosIgnored: 0,
  messagesMalformed: 0,
  messagesIgnored: 0,
  fetchesRefused: 0,
});

export type ResultsMessage = Extract<FromWorker, { type: 'results' }>;

/** Compute time in seconds, by task and by worker. */
export interface ComputeSeconds {
  tasks: Record<string, number>;
  workers: Record<string, number>;
}

const TASKS = new Set<string>(TASK_NAMES);

/**
 * The resources that a run has used, as reported by its workers. Their numbers are not trusted: each is limited to what is
 * possible, so that events and checkpoints stay readable.
 */
export class Usage {
  readonly #rows: number;
  #tasks = new Map<string, number>();
  #workers = new Map<string, number>();
  readonly #totals = { rounds: 0, rowsRead: 0, memory: 0 };

  /** `rows`: of the data. */
  constructor(rows: number) {
    this.#rows = rows;
  }

  /**
   * Adds the figures of a message of which at least one result was accepted; `elapsed`: ms since its round started. Returns
   * the known tasks with their seconds.
   */
  add(
    worker: string,
    { round, rowsRead, memory, seconds }: ResultsMessage,
    elapsed: number,
  ): [string, number][] {
    const totals = this.#totals;
    totals.rounds = Math.max(totals.rounds, round);
    totals.memory = Math.max(totals.memory, memory);
    totals.rowsRead = Math.min(totals.rowsRead + Math.min(rowsRead, this.#rows), Number.MAX_SAFE_INTEGER);
    const tasks = Object.entries(seconds)
      .filter(([task]) => TASKS.has(task))
      .map(([task, value]): [string, number] => [task, Math.min(value, elapsed / 1000)]);
    for (const [task, value] of tasks) {
      this.#tasks.set(task, (this.#tasks.get(task) ?? 0) + value);
      this.#workers.set(worker, (this.#workers.get(worker) ?? 0) + value);
    }
    return tasks;
  }

  /** Compute time since the last call. */
  take(): ComputeSeconds {
    const since = { tasks: Object.fromEntries(this.#tasks), workers: Object.fromEntries(this.#workers) };
    this.#tasks = new Map();
    this.#workers = new Map();
    return since;
  }

  /** Totals since the start; `memory` is the largest of any worker, in bytes. */
  totals(): { rounds: number; rowsRead: number; memory: number } {
    return { ...this.#totals };
  }
}

/** Messages per peer and window. */
const LIMIT = 20;
const WINDOW_MS = 10_000;
/** Peers that are remembered; beyond that, the least recent are forgotten. */
const MAX_PEERS = 4096;

/** Limits the rate at which each peer may send messages of one kind, in bounded memory. */
export class PeerRateLimit {
  readonly #now: () => number;
  readonly #peers = new Map<string, { count: number; since: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a message from this peer. */
  add(peer: string): void {
    const recent = this.#recent(peer) ?? { count: 0, since: this.#now() };
    recent.count++;
    this.#peers.delete(peer);
    this.#peers.set(peer, recent);
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.keys().next().value!);
  }

  /** Whether the peer has reached its limit. The caller then drops its messages unread: decoding them would cost time. */
  exceeded(peer: string): boolean {
    return (this.#recent(peer)?.count ?? 0) >= LIMIT;
  }

  #recent(peer: string) {
    const entry = this.#peers.get(peer);
    return entry && this.#now() - entry.since <= WINDOW_MS ? entry : undefined;
  }
}

/** Holds up to `capacity` tokens and is refilled at `perSecond`. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #refilledAt: number;

  constructor(capacity: number, perSecond: number, now: () => number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = capacity;
    this.#refilledAt = now();
  }

  /** Takes a token; false if there is none. */
  take(): boolean {
    const now = this.#now();
    this.#tokens = Math.min(
      this.#capacity,
      this.#tokens + ((now - this.#refilledAt) / 1000) * this.#perSecond,
    );
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
