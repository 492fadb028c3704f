/** Messages of one peer within the window; further ones are above the limit. */
const LIMIT = 20;
const WINDOW_MS = 10_000;
/** Peers that are kept in mind; of more, the oldest are forgotten. */
const MOST_PEERS = 4096;

/** A limit on how many messages of one kind each peer may send lately, in bounded memory. */
export class PeerRateLimit {
  readonly #now: () => number;
  readonly #peers = new Map<string, { count: number; since: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** One more from this peer. */
  add(peer: string): void {
    const recent = this.#recent(peer) ?? { count: 0, since: this.#now() };
    recent.count++;
    this.#peers.delete(peer);
    this.#peers.set(peer, recent);
    if (this.#peers.size > MOST_PEERS) this.#peers.delete(this.#peers.keys().next().value!);
  }

  /** Has it reached the limit? Then its messages are dropped unread, as reading them is work. */
  exceeded(peer: string): boolean {
    return (this.#recent(peer)?.count ?? 0) >= LIMIT;
  }

  #recent(peer: string) {
    const found = this.#peers.get(peer);
    return found && this.#now() - found.since <= WINDOW_MS ? found : undefined;
  }
}

/** Holds `capacity` tokens, and is refilled with so many a second. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #tokens: number;
  #filled: number;

  constructor(capacity: number, perSecond: number, now: () => number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#tokens = capacity;
    this.#filled = now();
  }

  /** Takes a token, if there is one. */
  take(): boolean {
    const now = this.#now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#filled) / 1000) * this.#perSecond);
    this.#filled = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
