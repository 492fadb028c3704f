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
