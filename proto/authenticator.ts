import { type Context, Reply } from 'zeromq';
import { type AllowList, toZ85 } from './keys.ts';

/** The ZAP domain of the coordinator's socket. */
export const ZAP_DOMAIN = 'dpmesh';
const VERSION = '1.0';

/**
 * The reply to libzmq's authentication request for a client (ZAP 1.0, RFC 27). Its frames are version, request id, domain,
 * address, routing id, mechanism, and for CURVE the client's public key.
 *
 * An unknown client gets 300, not 400: libzmq reports 400 to the peer, whose socket then gives up; after 300 the peer hears
 * nothing until its handshake times out, and may try again. So a worker that is added to the list joins without a restart, and
 * an unknown one gets only one try per handshake timeout and connection.
 */
export function answerZap(frames: Uint8Array[], admit: Authenticator['admit']): (string | Uint8Array)[] {
  const [version, request, domain, address, , mechanism, key] = frames.map((frame) => Buffer.from(frame));
  const isValid =
    String(version) === VERSION &&
    String(domain) === ZAP_DOMAIN &&
    String(mechanism) === 'CURVE' &&
    key?.length === 32;
  const name = isValid ? admit(toZ85(key), String(address)) : null;
  return name === null ? [VERSION, request, '300', '', '', ''] : [VERSION, request, '200', '', name, ''];
}

/** Answers authentication requests of the context until the returned socket is closed. */
export async function serveZap(context: Context, admit: Authenticator['admit']): Promise<Reply> {
  const socket = new Reply({ context, linger: 0 });
  await socket.bind('inproc://zeromq.zap.01');
  void (async () => {
    for await (const frames of socket) await socket.send(answerZap(frames, admit));
  })().catch((error) => {
    // The socket may be closed before the reply is sent; any other error is a bug.
    if (!socket.closed)
      setImmediate(() => {
        throw error;
      });
  });
  return socket;
}

/** Why a connection was rejected, as far as ZeroMQ reports it. */
export const REJECTION_REASONS = {
  'unknown-key': '',
  'no-key': 'no key (start the worker with --key FILE)',
  'wrong-server-key': 'key file of another coordinator, or a damaged one',
  'broken-off': 'closed, or silent, before the end of the handshake',
  'not-zeromq': 'not a ZeroMQ peer',
} as const;
export type RejectionReason = keyof typeof REJECTION_REASONS;

/** Unknown keys that are logged one by one; further ones are only counted. */
const MOST_LOGGED_KEYS = 100;

export type Authenticator = ReturnType<typeof createAuthenticator>;

/**
 * Decides which workers may connect to a coordinator with this secret key, and counts rejected connections. Its memory and log are
 * bounded, whatever their number.
 */
export function createAuthenticator(secret: string, allowed: AllowList, log: (line: string) => void) {
  const counts = Object.fromEntries(Object.keys(REJECTION_REASONS).map((reason) => [reason, 0])) as Record<
    RejectionReason,
    number
  >;
  const logged = new Set<string>();
  return {
    secret,
    /** The name of the worker with this public key; null if it is not on the list, which is counted, and logged once. */
    admit(key: string, address: string): string | null {
      const name = allowed.get(key);
      if (name !== undefined) return name;
      counts['unknown-key']++;
      if (logged.has(key) || logged.size > MOST_LOGGED_KEYS) return null;
      logged.add(key);
      if (logged.size > MOST_LOGGED_KEYS)
        log(`refused ${MOST_LOGGED_KEYS} unknown keys: further ones are counted, but not logged`);
      else
        log(`refused a worker at ${address}: its key ${key.slice(0, 8)}… is not on the list of allowed keys`);
      return null;
    },
    /** Counts a connection that failed before it presented a key. Logged at 1, 10, 100, … connections with the same reason. */
    failed(reason: Exclude<RejectionReason, 'unknown-key'>): void {
      const count = ++counts[reason];
      if (!/^10*$/.test(String(count))) return;
      log(`refused ${count === 1 ? 'a connection' : `${count} connections`}: ${REJECTION_REASONS[reason]}`);
    },
    /** Replaces the list. Returns whether the new one lacks a key of the old one. */
    replace(next: AllowList): boolean {
      const isAnyRemoved = [...allowed.keys()].some((key) => !next.has(key));
      allowed = next;
      return isAnyRemoved;
    },
    /** Connections rejected since the start, by reason. */
    refused: () => ({ ...counts }),
  };
}
