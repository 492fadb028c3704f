/** How many malformed messages a connection may send in a while before it is not listened to any more. */
const PATIENCE = 20;
const WINDOW_MS = 10_000;
/** Connections that are kept in mind; of more, the oldest are forgotten. */
const MOST = 4096;

/** Counts malformed messages by connection, in bounded memory. */
export interface Refusals {
  /** One more from this connection. */
  add(peer: string): void;
  /** Has it sent too many lately? Then its messages are dropped unread, as reading them is work. */
  exceeded(peer: string): boolean;
}

export function createRefusals(now: () => number): Refusals {
  const peers = new Map<string, { count: number; since: number }>();
  const lately = (peer: string) => {
    const found = peers.get(peer);
    return found && now() - found.since <= WINDOW_MS ? found : undefined;
  };
  return {
    add(peer) {
      const found = lately(peer) ?? { count: 0, since: now() };
      found.count++;
      peers.delete(peer);
      peers.set(peer, found);
      if (peers.size > MOST) peers.delete(peers.keys().next().value!);
    },
    exceeded: (peer) => (lately(peer)?.count ?? 0) >= PATIENCE,
  };
}

/** Says yes `atOnce` times, and then as often as `aSecond` fills up again what it has given away. */
export function createAllowance(atOnce: number, aSecond: number, now: () => number): () => boolean {
  let left = atOnce;
  let last = now();
  return () => {
    left = Math.min(atOnce, left + ((now() - last) / 1000) * aSecond);
    last = now();
    if (left < 1) return false;
    left--;
    return true;
  };
}
