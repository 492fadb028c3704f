import type { FromWorker } from '../../proto/messages.ts';

/** What the scheduler counts, from its start. */
export const noCounts = () => ({
  /** Units sent to another worker because theirs had left. */
  unitsReassigned: 0,
  /** Units of stragglers that were also sent to idle workers. */
  unitsRaced: 0,
  resultsLate: 0,
  resultsNotAskedFor: 0,
  resultsWrongShape: 0,
  resultsOfAnotherTerm: 0,
  workersSuspected: 0,
  hellosRefused: 0,
  /** Dropped because they exceeded the rate at which workers may join. */
  hellosIgnored: 0,
  messagesMalformed: 0,
  /** Dropped unread because their sender exceeded its rate limit. */
  messagesIgnored: 0,
  fetchesRefused: 0,
});
export type Counts = ReturnType<typeof noCounts>;

export type ResultsMessage = Extract<FromWorker, { type: 'results' }>;

/**
 * The resources that these tasks of a run on so many rows have used, as reported by its workers. Their numbers are not trusted: each is limited
 * to what is possible, so that events and checkpoints stay readable.
 */
export function createUsage(rows: number, tasks: readonly string[]) {
  const totals = { rounds: 0, rowsRead: 0, memory: 0 };
  /** Compute time in seconds, by task and by worker. */
  const none = () => ({ tasks: {} as Record<string, number>, workers: {} as Record<string, number> });
  let since = none();
  return {
    /**
     * Adds the figures of a message of which at least one result was accepted; `elapsed`: ms since its round started. Returns
     * the known tasks with their seconds.
     */
    add(worker: string, { round, rowsRead, memory, seconds }: ResultsMessage, elapsed: number) {
      totals.rounds = Math.max(totals.rounds, round);
      totals.memory = Math.max(totals.memory, memory);
      totals.rowsRead = Math.min(totals.rowsRead + Math.min(rowsRead, rows), Number.MAX_SAFE_INTEGER);
      const known = Object.entries(seconds)
        .filter(([task]) => tasks.includes(task))
        .map(([task, value]): [string, number] => [task, Math.min(value, elapsed / 1000)]);
      for (const [task, value] of known) {
        since.tasks[task] = (since.tasks[task] ?? 0) + value;
        since.workers[worker] = (since.workers[worker] ?? 0) + value;
      }
      return known;
    },
    /** Compute time since the last call. */
    take() {
      const taken = since;
      since = none();
      return taken;
    },
    /** Totals since the start; `memory` is the largest of any worker, in bytes. */
    totals: () => ({ ...totals }),
  };
}

/** Messages per peer and window. */
const LIMIT = 20;
const WINDOW_MS = 10_000;
/** Peers that are remembered; beyond that, the least recent are forgotten. */
const MAX_PEERS = 4096;

/** Limits the rate at which each peer may send messages of one kind, in bounded memory. */
export function createRateLimit(now: () => number) {
  const peers = new Map<string, { count: number; since: number }>();
  const recent = (peer: string) => {
    const entry = peers.get(peer);
    return entry && now() - entry.since <= WINDOW_MS ? entry : { count: 0, since: now() };
  };
  return {
    /** Counts a message from this peer. */
    add(peer: string): void {
      const { count, since } = recent(peer);
      peers.delete(peer);
      peers.set(peer, { count: count + 1, since });
      if (peers.size > MAX_PEERS) peers.delete(peers.keys().next().value!);
    },
    /** Whether the peer has reached its limit. The caller then drops its messages unread: decoding them would cost time. */
    exceeded: (peer: string): boolean => recent(peer).count >= LIMIT,
  };
}

/** Holds up to `capacity` tokens and is refilled at `perSecond`. Takes a token at each call; false if there is none. */
export function createTokenBucket(capacity: number, perSecond: number, now: () => number): () => boolean {
  let [tokens, refilledAt] = [capacity, now()];
  return () => {
    const at = now();
    tokens = Math.min(capacity, tokens + ((at - refilledAt) / 1000) * perSecond);
    refilledAt = at;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}
